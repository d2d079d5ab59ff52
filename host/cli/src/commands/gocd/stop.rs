//! When to stop: SIGINT or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// How often a sleeper looks whether it is to stop: soon enough for a person at a terminal, and cheap.
const LOOK: Duration = Duration::from_millis(100);

/// Whether this process was asked to stop. The second time it ends at once: nothing that was recorded is lost by that.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches the signals from now on.
    pub(super) fn on_signals() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // First, so that the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .context("cannot wait for signals")?;
        }
        Ok(Self(stop))
    }

    /// True if it is time.
    pub(super) fn is_due(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for the client's pauses.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Sleeps until the time is over or it is time to stop; then the answer is false.
    pub(super) fn sleep(&self, length: Duration) -> bool {
        let begun = Instant::now();
        while !self.is_due() {
            let Some(left) = length.checked_sub(begun.elapsed()) else {
                return true;
            };
            thread::sleep(left.min(LOOK));
        }
        false
    }
}
