//! Durations of the same thing, and what is said of them.

use std::time::{Duration, Instant};

/// Durations of one thing, one a round.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Runs something and keeps how long it took.
    pub(crate) fn time<T, E>(&mut self, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let begun = Instant::now();
        let done = run();
        let took = begun.elapsed();
        // What failed was not measured.
        if done.is_ok() {
            self.0.push(took);
        }
        done
    }

    /// Takes in one that was measured elsewhere.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Takes in others.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The number of samples.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds: what half of them did not exceed.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// In milliseconds: what this percentage of them did not exceed; not a number if there are none.
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let found = sorted.get((last * percent + 50) / 100);
        found.map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    }
}
