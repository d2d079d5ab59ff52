//! The wrapped command of `exec` and `step`: started, waited for, and otherwise not touched.
//!
//! Its stdin, stdout and stderr are this process's own, so there is nothing in between that could change or slow its output; the dispositions
//! and the mask of its signals are those that this process was started with. Signals reach it once ([`Running::wait`]), and its end is
//! passed on as a shell would ([`Ended::code`]).
//!
//! There are no signal handlers: signals are held back ([`hold`]) and taken one by one, by the thread that also reaps. So a signal never goes to
//! a process that took over the number of one already reaped, and there is no descriptor, thread or handler that a system could refuse.

mod command;
mod running;
mod sys;
#[cfg(test)]
mod tests;
mod witness;

use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

pub use command::{SpawnError, WrappedCommand};
pub use running::{CommandState, Ended, Running};
pub use sys::{hold, outlive_the_file_limit};

/// Makes this process's `/proc` entry unreadable to processes without `CAP_SYS_PTRACE`, the wrapped command among them: its environment,
/// memory and open files. Such a process cannot be traced and writes no core file either (Linux, `PR_SET_DUMPABLE` in prctl(2)).
///
/// The wrapped command is not affected: running a program sets the attribute again. Other systems than Linux lack the attribute. With valid
/// arguments prctl(2) does not fail, unless a seccomp filter forbids it; then the log has it.
pub fn make_private() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::info!(%error, "this process's entry in /proc stays readable");
    }
}

/// The signals that CI systems, terminals and service managers end a job with.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// True if a signal is meant to end the build. The others, such as `SIGUSR1`, mean something to the command alone.
fn is_ending(signal: i32) -> bool {
    ENDING.contains(&signal)
}

/// A signal that this process received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Its number, such as 15.
    pub signal: i32,
    /// The process that sent it; none when the kernel did, for a terminal, or when the system does not show the sender.
    pub sender: Option<i32>,
    /// The time since the command's start.
    pub after: Duration,
    /// The way it took to the command.
    pub forwarding: Forwarding,
}

impl ReceivedSignal {
    /// Its name, such as `SIGTERM`.
    pub fn name(&self) -> &'static str {
        signal_hook::low_level::signal_name(self.signal).unwrap_or("a signal")
    }
}

/// The way of a signal to the wrapped command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// This process sent it on.
    Forwarded,
    /// It went to the whole process group, and so to the command as well.
    HasIt,
    /// The command had ended.
    TooLate,
    /// The system did not allow it: the command runs as another user, as under sudo(8).
    Refused,
}
