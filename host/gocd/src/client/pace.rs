//! The times at which requests may be sent.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The longest that a request waits because the server asked for it. A longer wait is returned to the caller.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The time after which a pause checks for the stop: a tenth of a second is not noticed.
const SLICE: Duration = Duration::from_millis(100);

/// Pauses: between requests, after failures, and those that the server asked for, which hold for every request.
#[derive(Debug)]
pub struct Pace {
    min_pause: Duration,
    first_pause: Duration,
    tries: u32,
    stop: Option<Arc<AtomicBool>>,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    /// The end of the last request.
    last: Option<Instant>,
    /// The end of the pause that the server asked for.
    quiet_until: Option<Instant>,
}

/// The reason why no request may be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The server asked for a pause, which still lasts this long.
    Quiet(Duration),
    /// The caller stops.
    Stopped,
}

impl Pace {
    pub fn new(min_pause: Duration, first_pause: Duration, tries: u32, stop: Option<Arc<AtomicBool>>) -> Self {
        Self {
            min_pause,
            first_pause,
            tries,
            stop,
            times: Mutex::default(),
        }
    }

    /// Returns the pauses after the failures of one request: one less than tries.
    pub fn pauses(&self) -> ExponentialBackoff {
        // Without its own seed every machine would pause for the same times, and all would send again together.
        let seed = RandomState::new().build_hasher().finish();
        let retries = usize::try_from(self.tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(LONGEST_WAIT)
            .with_factor(2.0)
            .with_max_times(retries)
            .with_jitter()
            .with_jitter_seed(seed);
        pauses.build()
    }

    /// Waits until a request may be sent.
    pub fn wait(&self) -> Result<(), Withheld> {
        let pause = {
            let times = self.times();
            let quiet = left(times.quiet_until);
            if quiet > LONGEST_WAIT {
                return Err(Withheld::Quiet(quiet));
            }
            let after_last = times.last.and_then(|last| last.checked_add(self.min_pause));
            quiet.max(left(after_last))
        };
        self.sleep(pause)
    }

    /// Waits for this long, or until the stop.
    pub fn sleep(&self, pause: Duration) -> Result<(), Withheld> {
        let start = Instant::now();
        loop {
            if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Withheld::Stopped);
            }
            let rest = pause.saturating_sub(start.elapsed());
            if rest.is_zero() {
                return Ok(());
            }
            std::thread::sleep(rest.min(SLICE));
        }
    }

    /// Records the end of a request, and the pause that the server may have asked for.
    pub fn over(&self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut times = self.times();
        times.last = Some(now);
        if let Some(until) = retry_after.and_then(|pause| now.checked_add(pause)) {
            times.quiet_until = Some(times.quiet_until.map_or(until, |known| known.max(until)));
        }
    }

    /// Returns true if a retry would wait too long.
    pub fn is_quiet_for_long(&self) -> bool {
        left(self.times().quiet_until) > LONGEST_WAIT
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_between_machines_and_end() {
        let pace = Pace::new(Duration::ZERO, Duration::from_secs(1), 3, None);
        let (one, other): (Vec<_>, Vec<_>) = (pace.pauses().collect(), pace.pauses().collect());
        assert_eq!(one.len(), 2);
        assert!(
            one[0] >= Duration::from_secs(1) && one[1] >= Duration::from_secs(2),
            "{one:?}"
        );
        assert!(one[1] <= Duration::from_secs(4), "{one:?}");
        assert_ne!(one, other, "the same jitter everywhere is none");
        let never = Pace::new(Duration::ZERO, Duration::from_secs(1), 0, None);
        assert_eq!(never.pauses().count(), 0);
    }

    #[test]
    fn a_long_pause_is_returned_and_a_short_one_waited_for() {
        let pace = Pace::new(Duration::ZERO, Duration::ZERO, 3, None);
        pace.over(Some(Duration::from_millis(30)));
        let start = Instant::now();
        pace.wait().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(25));
        pace.over(Some(LONGEST_WAIT * 2));
        // A later, shorter pause does not shorten the first.
        pace.over(Some(Duration::ZERO));
        let held = pace.wait().unwrap_err();
        assert!(matches!(held, Withheld::Quiet(left) if left > LONGEST_WAIT), "{held:?}");
    }

    #[test]
    fn a_pause_ends_at_the_stop() {
        let stop = Arc::new(AtomicBool::new(false));
        let pace = Pace::new(Duration::from_secs(60), Duration::ZERO, 1, Some(Arc::clone(&stop)));
        pace.wait().unwrap();
        pace.over(None);
        std::thread::scope(|scope| {
            scope.spawn(|| stop.store(true, Ordering::Relaxed));
            assert_eq!(pace.wait(), Err(Withheld::Stopped));
        });
    }
}
