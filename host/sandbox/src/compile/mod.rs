//! Compiling a component: here, or in a child process that can be stopped.
//!
//! A component's author controls the compiler's input, and no compiler bounds its own time or memory. A [`ChildCompiler`] bounds both; the
//! child calls [`compile_worker`], and ends when its parent does. [`Compiler::Here`] has no bounds.

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

/// Bytes of compiled code that are accepted: code is three to four times its component, which has 32 MiB at most by default.
const MOST_CODE: u64 = 512 << 20;

/// The process in which a component is compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// This process, without bounds of time and memory and without a deadline. For trusted components.
    Here,
    /// A child process with limits.
    Child(ChildCompiler),
}

/// Code that was compiled for this process, and was never stored.
pub struct FreshCode(Vec<u8>);

impl FreshCode {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Compiler {
    /// The time limit, which is also the longest wait for another process that compiles the same component.
    pub(crate) fn time(&self) -> Duration {
        match self {
            // No limit exists: about the time of the slowest known component on a slow machine.
            Self::Here => child::TIME,
            Self::Child(child) => child.time,
        }
    }

    /// Returns true if its limit is wider than the bound that a compilation exceeded.
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
        if cfg!(not(feature = "compiler")) {
            return Err(CompileError::NoCompiler);
        }
        if deadline.is_over() {
            return Err(CompileError::Unfinished);
        }
        match self {
            Self::Here => {
                let code = code_for(engine, component).map_err(|error| CompileError::Refused(format!("{error:#}")))?;
                if code.len() as u64 > MOST_CODE {
                    return Err(CompileError::TooLarge { limit: MOST_CODE });
                }
                output.write_all(&code).map_err(CompileError::Output)
            }
            Self::Child(child) => child.compile_to(Arc::clone(component), output, deadline),
        }
    }
}

/// Returns the code of a component for an engine's target.
#[cfg(feature = "compiler")]
pub fn code_for(engine: &Engine, component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    engine.precompile_component(component)
}

/// Fails, as this build has no compiler.
#[cfg(not(feature = "compiler"))]
pub fn code_for(_: &Engine, _: &[u8]) -> wasmtime::Result<Vec<u8>> {
    Err(wasmtime::Error::msg(CompileError::NoCompiler))
}

/// The deadline of a caller that waits for a component to be compiled. Clones share it, so that another thread can move it: a build's end
/// is not known when the wait begins.
#[derive(Clone, Debug, Default)]
pub struct Deadline(Arc<Mutex<Option<Instant>>>);

impl Deadline {
    /// No deadline.
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// A deadline at this moment.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(Arc::new(Mutex::new(Some(moment))))
    }

    /// Moves the deadline. Callers that wait already notice within some 10 ms. `Instant::now()` ends their wait.
    pub fn set(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    /// Returns true if it has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.pause(Duration::ZERO).is_none()
    }

    /// The time to sleep before the next check, at most `most`; `None` if the deadline has passed.
    pub(crate) fn pause(&self, most: Duration) -> Option<Duration> {
        let moment = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(moment) = moment else { return Some(most) };
        let left = moment.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left.min(most))
    }
}

/// An error of compiling.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// This build has no compiler.
    #[error(
        "this build of pipefold has no compiler; run `pipefold component compile` of a build that has one, for the same cache"
    )]
    NoCompiler,
    /// The file is not a component, or one that this engine does not support.
    #[error("{0}")]
    Refused(String),
    /// The child's program cannot be started.
    #[error("cannot start {} to compile it: {reason}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The compiler reached its time limit and was stopped.
    #[error("compiling it was stopped after {} s, its time limit", .limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The caller's deadline passed first.
    #[error("still compiling")]
    Unfinished,
    /// The compiler reached its memory limit.
    #[error("compiling it needs more than {} MiB of memory, its limit", .limit >> 20)]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The code is larger than the limit.
    #[error("its compiled code is larger than {} MiB, the limit", .limit >> 20)]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The child process ended without an answer.
    #[error("the compiler ended early, with {status}{}", Stderr(.stderr))]
    Died {
        /// The exit status.
        status: ExitStatus,
        /// Its text on stderr.
        stderr: String,
    },
    /// The child process's answer does not follow the protocol.
    #[error("{} does not answer as a compiler of this version of pipefold: {reason}; it must call `compile_worker`", .program.display())]
    Answer {
        /// The program.
        program: PathBuf,
        /// The fault in the answer.
        reason: String,
    },
    /// The code could not be written to its destination.
    #[error("cannot keep the compiled code: {0}")]
    Output(io::Error),
}

/// The bound that a compilation exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// None that can be changed.
    None,
    /// Milliseconds.
    Time(u64),
    /// Bytes.
    Memory(u64),
}

impl CompileError {
    /// The bound that was exceeded, if the compilation would fail again; `None` if it may succeed. A child that was killed may have been stopped
    /// by an operator, or by a machine that was short of memory; one that crashed will crash again.
    pub(crate) fn lasting_bound(&self) -> Option<Bound> {
        match self {
            Self::TimedOut { limit } => Some(Bound::Time(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))),
            Self::Memory { limit } => Some(Bound::Memory(*limit)),
            Self::Refused(_) | Self::TooLarge { .. } => Some(Bound::None),
            Self::Died { status, .. } if crashed(*status) => Some(Bound::None),
            Self::NoCompiler
            | Self::Died { .. }
            | Self::Unfinished
            | Self::Start { .. }
            | Self::Answer { .. }
            | Self::Output(_) => None,
        }
    }
}

/// Returns true if a program ended by a fault of its own: a panic, or a signal for its own action.
fn crashed(status: ExitStatus) -> bool {
    const PANIC: i32 = 101;
    let own = [Signal::ABORT, Signal::BUS, Signal::ILL, Signal::SEGV, Signal::TRAP].map(Signal::as_raw);
    status.code() == Some(PANIC) || status.signal().is_some_and(|signal| own.contains(&signal))
}

/// A program's text on stderr, if any.
struct Stderr<'a>(&'a str);

impl fmt::Display for Stderr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "; stderr: {}", self.0)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_deadline() {
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
