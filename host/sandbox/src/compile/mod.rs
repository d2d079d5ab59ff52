//! Compiling a component: here, or in a child process that can be stopped.
//!
//! What a component's author controls is the compiler's input, and no compiler promises how long it takes or how much memory. A
//! [`ChildCompiler`] puts bounds on both; the child calls [`compile_worker`], and ends when its parent does. [`Compiler::Here`] has no
//! bounds.

mod child;
mod worker;

pub use child::ChildCompiler;
pub use worker::compile_worker;

use rustix::process::Signal;
use std::{
    fmt,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use wasmtime::Engine;

/// Bytes of compiled code that are taken: code is some three to four times its component, which has 32 MiB at most by default.
const MOST_CODE: u64 = 512 << 20;

/// Where a component is compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process: nothing bounds the time and memory that it takes, and no deadline ends it. For components of one's own.
    Here,
    /// In a child process with limits.
    Child(ChildCompiler),
}

/// Code that was compiled for this process, and has been nowhere else.
pub struct FreshCode(Vec<u8>);

impl FreshCode {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Compiler {
    /// How long it may take, and so how long it is worth to wait for someone else who does the same.
    pub(crate) fn time(&self) -> Duration {
        match self {
            // There is no limit: about what the slowest known component takes on a slow machine.
            Self::Here => child::TIME,
            Self::Child(child) => child.time,
        }
    }

    /// Whether it may go beyond the bound that a compilation ran out of.
    pub(crate) fn exceeds(&self, bound: &Bound) -> bool {
        match (self, bound) {
            (Self::Here, Bound::Time(_) | Bound::Memory(_)) => true,
            (Self::Child(child), Bound::Time(milliseconds)) => child.time.as_millis() > u128::from(*milliseconds),
            (Self::Child(child), Bound::Memory(bytes)) => child.memory() > *bytes,
            (_, Bound::None) => false,
        }
    }

    /// Compiles for this engine, into memory.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        component: &Arc<Vec<u8>>,
        deadline: &Deadline,
    ) -> Result<FreshCode, CompileError> {
        let mut code = Vec::new();
        self.compile_to(engine, component, &mut code, deadline)?;
        Ok(FreshCode(code))
    }

    /// Compiles for this engine and writes the code to `output`, so that it need not fit into this process's memory.
    pub(crate) fn compile_to(
        &self,
        engine: &Engine,
        component: &Arc<Vec<u8>>,
        output: &mut dyn Write,
        deadline: &Deadline,
    ) -> Result<(), CompileError> {
        if deadline.is_over() {
            return Err(CompileError::Unfinished);
        }
        match self {
            Self::Here => {
                let code = engine
                    .precompile_component(component)
                    .map_err(|error| CompileError::Refused(format!("{error:#}")))?;
                if code.len() as u64 > MOST_CODE {
                    return Err(CompileError::TooLarge { limit: MOST_CODE });
                }
                output.write_all(&code).map_err(CompileError::Output)
            }
            Self::Child(child) => child.compile_to(Arc::clone(component), output, deadline),
        }
    }
}

/// A moment up to which a caller waits for a component to be compiled. Clones share it, so that another thread can bring it forward:
/// a build's end is not known when the wait begins.
#[derive(Clone, Debug, Default)]
pub struct Deadline(Arc<Mutex<Option<Instant>>>);

impl Deadline {
    /// Waits as long as it takes.
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// Waits until then.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(Arc::new(Mutex::new(Some(moment))))
    }

    /// Moves it, also for those who wait already; they notice within some 10 ms. `Instant::now()` ends the wait.
    pub fn set(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.pause(Duration::ZERO).is_none()
    }

    /// How long to sleep before the next look at it, `most` at the longest; none if it has passed.
    pub(crate) fn pause(&self, most: Duration) -> Option<Duration> {
        let moment = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(moment) = moment else { return Some(most) };
        let left = moment.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left.min(most))
    }
}

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
pub enum Bound {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_it() {
        let second = Duration::from_secs(1);
        let deadline = Deadline::never();
        assert_eq!(deadline.pause(second), Some(second));
        let other = deadline.clone();
        other.set(Instant::now() + Duration::from_millis(500));
        assert!(deadline.pause(second).unwrap() < second && !deadline.is_over());
        other.set(Instant::now());
        assert!(deadline.is_over());
    }
}
