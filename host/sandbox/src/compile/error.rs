//! Why a component could not be compiled.

use rustix::process::Signal;
use std::{fmt, io, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus, time::Duration};

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is no component, or one that this engine does not take.
    #[error("{0}")]
    Refused(String),
    /// The compiler's program cannot be started.
    #[error("cannot start {} to compile it: {reason}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// It took too long and was stopped.
    #[error("compiling it was stopped after {} s, its time limit", .limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The caller's deadline passed first.
    #[error("still compiling")]
    Unfinished,
    /// It took too much memory.
    #[error("compiling it needs more than {} MiB of memory, its limit", .limit >> 20)]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The code is larger than any that is kept.
    #[error("its compiled code is larger than {} MiB, the limit", .limit >> 20)]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The child process ended without an answer.
    #[error("the compiler ended early, with {status}{}", Said(.said))]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr.
        said: String,
    },
    /// The child process answered, but not as a compiler of pipefold does.
    #[error("{} does not answer as a compiler of this version of pipefold: {reason}; it must call `compile_worker`", .program.display())]
    Answer {
        /// The program.
        program: PathBuf,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The code could not be passed on.
    #[error("cannot keep the compiled code: {0}")]
    Output(io::Error),
}

/// What a compilation ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Nothing that can be changed here.
    None,
    /// Milliseconds.
    Time(u64),
    /// Bytes.
    Memory(u64),
}

impl CompileError {
    /// What it ran out of, if it would go the same way again. A child that was killed may have been stopped by an operator, or by a machine
    /// that was short of memory; one that crashed does so again.
    pub(crate) fn lasts(&self) -> Option<Bound> {
        match self {
            Self::TimedOut { limit } => Some(Bound::Time(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))),
            Self::Memory { limit } => Some(Bound::Memory(*limit)),
            Self::Refused(_) | Self::TooLarge { .. } => Some(Bound::None),
            Self::Died { status, .. } if crashed(*status) => Some(Bound::None),
            Self::Died { .. } | Self::Unfinished | Self::Start { .. } | Self::Answer { .. } | Self::Output(_) => None,
        }
    }
}

/// Whether a program ended as one does that has a fault: by a panic, or by a signal for what it did itself.
fn crashed(status: ExitStatus) -> bool {
    const PANIC: i32 = 101;
    let own = [Signal::ABORT, Signal::BUS, Signal::ILL, Signal::SEGV, Signal::TRAP].map(Signal::as_raw);
    status.code() == Some(PANIC) || status.signal().is_some_and(|signal| own.contains(&signal))
}

/// What a program said, if anything.
struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "; it said: {}", self.0)
        }
    }
}
