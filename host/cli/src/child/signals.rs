//! The signals that a wrapped command is to get in this process's stead.

use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals that CI systems, terminals and service managers end a job with.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// One signal that this process got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignalSeen {
    /// Its number, such as 15.
    pub(crate) signal: i32,
    /// The process that sent it; none when the kernel did, for a terminal, or when the system does not tell.
    pub(crate) sender: Option<i32>,
    /// The time that after the command's start it was seen.
    pub(crate) after: Duration,
    /// The way it took to the command.
    pub(crate) forwarding: Forwarding,
}

impl SignalSeen {
    /// Its name, such as `SIGTERM`.
    pub(crate) fn name(&self) -> &'static str {
        signal_hook::low_level::signal_name(self.signal).unwrap_or("a signal")
    }
}

/// Whether the wrapped command got a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// It was sent on.
    Forwarded,
    /// It went to the whole process group, and so to the command as well.
    HasIt,
    /// The command had ended.
    TooLate,
    /// The system did not allow it: the command runs as another user, as under sudo(8).
    Refused,
}

/// True if a signal is meant to end the build. The others, such as `SIGUSR1`, mean something to the command alone.
pub(super) fn is_ending(signal: i32) -> bool {
    ENDING.contains(&signal)
}
