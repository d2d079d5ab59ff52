//! One command to be run.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Output, Running};

/// A command under test, before it runs. Made by [`Ci::pipefold`](crate::Ci::pipefold).
#[derive(Debug)]
pub struct Pipefold {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    stdin: Vec<u8>,
    address_space: Option<u64>,
    user: Option<u32>,
    unprivileged: bool,
    timeout: Duration,
}

impl Pipefold {
    /// A program without arguments and variables.
    pub(crate) fn new(program: PathBuf, directory: &Path) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.to_owned(),
            stdin: Vec::new(),
            address_space: None,
            user: None,
            unprivileged: false,
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl Into<OsString>) -> Self {
        self = self.env_remove(&name);
        self.environment.push((name.as_ref().to_owned(), value.into()));
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.retain(|(known, _)| known != name.as_ref());
        self
    }

    /// Runs it in this directory instead of the workspace.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets its stdin; empty by default.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it under `ulimit -v`, in KiB.
    #[must_use]
    pub fn address_space(mut self, kib: u64) -> Self {
        self.address_space = Some(kib);
        self
    }

    /// Takes root's capabilities from it, so that the modes of files bind it. Another user than root has none anyway.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = rustix::process::geteuid().is_root();
        self
    }

    /// Runs it as this user and the group of the same number, which takes root to do.
    #[must_use]
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Runs this program instead, in all else alike.
    #[must_use]
    pub fn replaced_by(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets the time after which the test fails; a minute by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or runs longer than its timeout.
    #[must_use]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it, in a process group of its own, so that a signal from outside reaches it alone.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(self) -> Running {
        let mut command = match self.address_space {
            None if self.unprivileged => {
                // Of util-linux. A program that root executes gets what is left in the bounding set: nothing.
                let mut setpriv = Command::new("setpriv");
                setpriv
                    .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
                    .arg(&self.program);
                setpriv
            }
            None => Command::new(&self.program),
            Some(kib) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .arg("-c")
                    .arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\""))
                    .arg(&self.program);
                shell
            }
        };
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::start(command, self.stdin, self.timeout)
    }
}
