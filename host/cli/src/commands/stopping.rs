//! The signals that end a server.

use std::fmt;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both of them, from now on caught.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// One that came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Terminate,
    Interrupt,
}

impl Signals {
    /// Catches them.
    pub(super) fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

impl Stop {
    /// The exit code that a shell gives what this signal ended.
    pub(super) fn exit_code(self) -> u8 {
        128 + match self {
            Self::Terminate => 15,
            Self::Interrupt => 2,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}
