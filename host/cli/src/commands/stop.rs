//! The end of long work by a signal.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "gocd")]
use std::sync::atomic::Ordering;
#[cfg(feature = "gocd")]
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The longest sleep without a check of the flag: short enough for a person at a terminal, and cheap.
#[cfg(feature = "gocd")]
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// A flag that SIGINT, SIGTERM or SIGHUP raises. A second signal ends the process at once, which loses nothing that was recorded.
#[derive(Clone)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Catches the signals from now on.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // First, so that the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .context("cannot wait for signals")?;
        }
        Ok(Self(stop))
    }

    #[cfg(feature = "gocd")]
    /// True if a signal arrived.
    pub fn is_due(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    #[cfg(feature = "gocd")]
    /// Sleeps for `length`. False if a signal ended the sleep.
    pub fn sleep(&self, length: Duration) -> bool {
        let begun = Instant::now();
        while !self.is_due() {
            let Some(left) = length.checked_sub(begun.elapsed()) else {
                return true;
            };
            std::thread::sleep(left.min(LONGEST_SLEEP));
        }
        false
    }
}
