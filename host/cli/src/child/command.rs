//! The command to run, its start, and the errors of that.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::io::Errno;

use super::is_ending;
use super::running::Running;
use super::sys::{self, CStrings, Image, hold};
use crate::terminal::say;

/// The command to wrap: its arguments, the program first, and the differences of its environment from this process's.
#[derive(Debug, Clone)]
pub struct WrappedCommand {
    argv: Vec<OsString>,
    env_remove: Vec<OsString>,
    env_set: Vec<(OsString, OsString)>,
}

impl WrappedCommand {
    /// A command that inherits the whole environment. The program is searched in `PATH` unless it has a slash.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env_remove: Vec::new(),
            env_set: Vec::new(),
        }
    }

    /// Takes a variable out of the command's environment.
    pub fn env_remove(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.env_remove.push(name.into());
        self
    }

    /// Gives the command's environment a variable; it wins over a removal of the same name.
    pub fn env_set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.env_set.push((name.into(), value.into()));
        self
    }

    /// Starts it, with this process's stdin, stdout and stderr, and all else as this process was started with.
    ///
    /// From here on no signal ends this process ([`hold`]): one that arrives while the command starts waits for [`Running::wait`].
    ///
    /// Where the system has no room for a second process, or does not allow one, the command takes this one's place, and this does not return:
    /// a build that runs and is not reported is better than the reverse.
    ///
    /// # Errors
    /// [`SpawnError`], whose [`code`](SpawnError::code) is the exit code that a shell would give.
    pub fn spawn(&self) -> Result<Running, SpawnError> {
        let program = self.argv.first().cloned().unwrap_or_default();
        let inherited = hold();
        // A signal that arrived before there is a command to send it to means this process.
        if sys::is_waiting(|signal| is_ending(signal) && !inherited.ignores(signal)) {
            inherited.let_through();
        }
        let started = Instant::now();
        let start = |image: &Image| Ok(Running::new(inherited.spawn(image)?, inherited, started));
        let refused = |error| SpawnError::new(program.clone(), error);
        let image = self.image(&program, &self.argv).map_err(refused)?;
        start(&image)
            .or_else(|error| match is(&error, Errno::NOEXEC) && is_script(Path::new(&program)) {
                true => {
                    let shell = OsString::from("/bin/sh");
                    let argv: Vec<_> = [&shell].into_iter().chain(&self.argv).cloned().collect();
                    start(&self.image(&shell, &argv)?)
                }
                false => Err(error),
            })
            .map_err(|error| {
                if is_about_the_program(&error) {
                    return refused(error);
                }
                say(&format!(
                    "pipefold: warning: the run is not reported: no process can be started beside pipefold ({error}), so the command takes \
                     its place"
                ));
                refused(inherited.exec(&image))
            })
    }

    /// The program with these arguments, the first being its name, and the command's environment.
    fn image(&self, program: &OsStr, argv: &[OsString]) -> io::Result<Image> {
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        environment.retain(|name, _| !self.env_remove.contains(name));
        environment.extend(self.env_set.iter().cloned());
        let pair = |(name, value): (OsString, OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
        Ok(Image {
            paths: c_strings(paths(program).into_iter().map(|path| path.into_os_string().into_vec()))?,
            arguments: CStrings::new(c_strings(argv.iter().map(|word| word.as_bytes().to_vec()))?),
            environment: CStrings::new(c_strings(environment.into_iter().map(pair))?),
        })
    }
}

fn c_strings(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    Ok(strings.map(CString::new).collect::<Result<_, _>>()?)
}

/// The paths where a program may be: its own, or those in the directories of `PATH`, of which an empty one is the working directory.
fn paths(program: &OsStr) -> Vec<PathBuf> {
    if program.is_empty() || has_slash(Path::new(program)) {
        return vec![program.into()];
    }
    // The default is that of the C library.
    let directories = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&directories)
        .map(|directory| directory.join(program))
        .collect()
}

/// True if an error says that this program cannot be run, and not that no process can be started.
fn is_about_the_program(error: &io::Error) -> bool {
    [
        Errno::NOENT,
        Errno::ACCESS,
        Errno::NOEXEC,
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::LOOP,
        Errno::NAMETOOLONG,
        Errno::TOOBIG,
    ]
    .iter()
    .any(|errno| is(error, *errno))
}

/// True if a file that the system would not run is a script without a `#!` line. Shells, env(1) and glibc's execvp(3) give such a file to
/// `/bin/sh`; other C libraries leave that to the caller.
///
/// Only for a path: the file that `PATH` led to is not known here. Text is distinguished from a program for another machine as in bash, by a NUL in
/// the first 80 bytes.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 80];
    has_slash(path)
        && File::open(path)
            .and_then(|mut file| file.read(&mut start))
            .is_ok_and(|n| !start[..n].contains(&0))
}

/// True if a program is named by its path; otherwise `PATH` is searched for it.
fn has_slash(program: &Path) -> bool {
    program.as_os_str().as_encoded_bytes().contains(&b'/')
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// A hint about a program that only a shell would have known.
fn hint_of_a_shell(program: &str) -> &'static str {
    const BUILT_IN: [&str; 12] = [
        ".", "alias", "cd", "eval", "exec", "export", "set", "source", "trap", "ulimit", "umask", "unset",
    ];
    let is_name = |name: &str| name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if program.contains(char::is_whitespace) {
        "; a whole line runs in a shell: sh -c 'LINE'"
    } else if program.split_once('=').is_some_and(|(name, _)| is_name(name)) {
        "; to set a variable, use env(1): env NAME=VALUE COMMAND"
    } else if BUILT_IN.contains(&program) {
        "; it is a command of the shell: sh -c 'LINE'"
    } else {
        ""
    }
}

/// The reason why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("cannot run {program:?}: not found{hint}")]
    NotFound {
        /// The program as it was given.
        program: OsString,
        /// A hint about the fault; empty or starting with `; `.
        hint: &'static str,
    },
    /// The program exists, and may not or cannot run.
    #[error("cannot run {program:?}: {source}{hint}")]
    NotRunnable {
        /// The program as it was given.
        program: OsString,
        /// The system's error.
        source: io::Error,
        /// A hint about the fault; empty or starting with `; `.
        hint: &'static str,
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
                hint_of_a_shell(&program.to_string_lossy())
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

    /// The exit code for the error: 127 when there is no such program, else 126 (POSIX, Shell Command Language, 2.8.2).
    pub fn code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotRunnable { .. } => 126,
        }
    }
}
