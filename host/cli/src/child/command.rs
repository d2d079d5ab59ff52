//! What to run, and how starting it can fail.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use rustix::io::Errno;

use super::running::Running;
use super::signals::Signals;

/// The command to wrap: its arguments, the program first, and what its environment has less and more than this process's.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    argv: Vec<OsString>,
    env_remove: Vec<OsString>,
    env_set: Vec<(OsString, OsString)>,
}

impl Command {
    /// A command that inherits the whole environment. The program is looked up in `PATH` unless it has a slash.
    pub(crate) fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env_remove: Vec::new(),
            env_set: Vec::new(),
        }
    }

    /// Takes a variable out of the command's environment.
    pub(crate) fn env_remove(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.env_remove.push(name.into());
        self
    }

    /// Gives the command's environment a variable; it wins over a removal of the same name.
    pub(crate) fn env_set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.env_set.push((name.into(), value.into()));
        self
    }

    /// Starts it, with this process's stdin, stdout and stderr.
    ///
    /// From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT no longer end this process, except those that were ignored already, as under
    /// nohup(1): they stay ignored here and in the command. A signal that arrives while the command starts waits for [`Running::wait`].
    ///
    /// # Errors
    /// [`SpawnError`], whose [`code`](SpawnError::code) is the exit code that a shell would give.
    pub(crate) fn spawn(&self) -> Result<Running, SpawnError> {
        let program = self.argv.first().cloned().unwrap_or_default();
        // Before the spawn: a signal in between would end this process and leave the command behind.
        let signals = Signals::install().map_err(|source| SpawnError::Signals {
            program: program.clone(),
            source,
        })?;
        let started = Instant::now();
        let spawned = match self.prepare(&program, self.argv.get(1..).unwrap_or_default()).spawn() {
            Err(error) if is(&error, Errno::NOEXEC) && is_script(Path::new(&program)) => {
                self.prepare("/bin/sh".as_ref(), &self.argv).spawn()
            }
            other => other,
        };
        match spawned {
            Ok(child) => Ok(Running::new(child, signals, started)),
            Err(source) => Err(SpawnError::new(program, source)),
        }
    }

    fn prepare(&self, program: &std::ffi::OsStr, arguments: &[OsString]) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.args(arguments);
        for name in &self.env_remove {
            command.env_remove(name);
        }
        command.envs(self.env_set.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Whether a file that the system would not run is a script without a `#!` line. Shells, env(1) and execvp(3) give such a file to `/bin/sh`;
/// posix_spawn(3), which starts a process much faster than fork and exec, leaves that to its caller.
///
/// Only for a path: what `PATH` led to is not known here. Text is told from a program for another machine as bash does it, by a NUL in
/// the first 80 bytes.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 80];
    has_slash(path)
        && File::open(path)
            .and_then(|mut file| file.read(&mut start))
            .is_ok_and(|n| !start[..n].contains(&0))
}

/// Whether a program is named by its path; otherwise `PATH` is searched for it.
fn has_slash(program: &Path) -> bool {
    program.as_os_str().as_encoded_bytes().contains(&b'/')
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Why the command could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// There is no such program.
    #[error("cannot run {program:?}: not found{hint}")]
    NotFound {
        /// As it was given.
        program: OsString,
        /// What may be wrong with it; empty or starting with `; `.
        hint: &'static str,
    },
    /// It is there and may not run, or cannot.
    #[error("cannot run {program:?}: {source}{hint}")]
    NotRunnable {
        /// As it was given.
        program: OsString,
        /// What the system said.
        source: io::Error,
        /// What may be wrong with it; empty or starting with `; `.
        hint: &'static str,
    },
    /// Signals could not be watched, so that one would have ended this process and not the command.
    #[error("cannot run {program:?}: signals cannot be watched: {source}")]
    Signals {
        /// As it was given.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
}

impl SpawnError {
    fn new(program: OsString, source: io::Error) -> Self {
        let path = Path::new(&program);
        if source.kind() == io::ErrorKind::NotFound {
            let hint = if program.is_empty() {
                "; the command is empty"
            } else if has_slash(path) && path.exists() {
                "; the file is there, but not the interpreter that its first line names, or its dynamic loader"
            } else {
                ""
            };
            return Self::NotFound { program, hint };
        }
        let hint = if has_slash(path) && path.is_dir() {
            "; it is a directory"
        } else if is(&source, Errno::ACCESS) {
            "; is it executable (chmod +x), and its file system not mounted noexec?"
        } else if is(&source, Errno::NOEXEC) {
            "; it is neither a program for this machine nor a script whose first line names its interpreter"
        } else {
            ""
        };
        Self::NotRunnable { program, source, hint }
    }

    /// The exit code for it: 127 when there is no such program, else 126 (POSIX, Shell Command Language, 2.8.2).
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotRunnable { .. } | Self::Signals { .. } => 126,
        }
    }
}
