//! The rate of requests, and pauses after failures.

use std::time::{Duration, Instant};

/// A token bucket.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    size: f64,
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full one. It holds a tenth of a second's tokens, and at least one: a burst that no limit over a second notices.
    pub fn new(per_second: f64, now: Instant) -> Self {
        let per_second = per_second.clamp(0.01, 100_000.0);
        let size = (per_second / 10.0).max(1.0);
        Self {
            per_second,
            size,
            tokens: size,
            at: now,
        }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// How long until there is one.
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }

    /// How many come in a time.
    pub fn within(&self, time: Duration) -> usize {
        (self.per_second * time.as_secs_f64()) as usize
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.size);
        self.at = self.at.max(now);
    }
}

/// Failures in a row, of whichever runs, after which it is DX that cannot be reached, and not a run that is at fault.
const IN_A_ROW: u32 = 3;

/// The longest pause after such failures. An outage that ends is noticed within it.
const LONGEST: Duration = Duration::from_secs(15);

/// After DX did not take the token, or redirected: a person has to do something.
pub const STUCK: Duration = Duration::from_secs(30);

/// The pause of all.
#[derive(Debug, Default)]
pub struct Pauses {
    until: Option<Instant>,
    failures: u32,
    doubtful: bool,
}

impl Pauses {
    /// How long nothing is to be sent.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// DX answered, whatever it said of the run.
    pub fn reached(&mut self) {
        self.failures = 0;
        self.doubtful = false;
    }

    /// Whether DX did not answer well, or not at all, the last time.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// It may go better another time; DX may have said when, which then holds for every run.
    pub fn failed(&mut self, after: Option<Duration>, first: Duration, now: Instant) {
        if let Some(after) = after {
            // It answers, and says itself when it wants to be asked again.
            self.until(now + after);
            return;
        }
        if self.left(now).is_some() {
            // One of those that were under way when the pause began: it says nothing new.
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= IN_A_ROW {
            self.doubtful = true;
            let doubled = (self.failures - IN_A_ROW).min(8);
            self.until(now + (first * 2_u32.pow(doubled)).min(LONGEST));
        }
    }

    /// Nothing will go until a person does something.
    pub fn stuck(&mut self, now: Instant) {
        self.doubtful = true;
        self.until(now + STUCK);
    }

    fn until(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |other| other.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_tokens_and_one_burst() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::new(100.0, begin);
        let sent: Vec<u64> = (0..20_000_u64)
            .filter(|tick| bucket.take(begin + Duration::from_micros(tick * 100)))
            .collect();
        for start in (0..10_000).step_by(1000) {
            let within = sent
                .iter()
                .filter(|tick| (start..start + 10_000).contains(*tick))
                .count();
            assert!((99..=111).contains(&within), "{within} in the second from {start}");
        }
    }

    #[test]
    fn a_pause_earns_one_burst_and_slow_ones_go_one_by_one() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::new(0.5, begin);
        let later = begin + Duration::from_secs(3600);
        assert!(bucket.take(later));
        assert!(!bucket.take(later));
        assert_eq!(bucket.wait(later), Duration::from_secs(2));
        assert!(bucket.take(later + Duration::from_secs(2)));
        assert_eq!(bucket.within(Duration::from_secs(60)), 30);
    }

    #[test]
    fn one_runs_failure_stops_no_other_and_dx_is_left_alone_for_as_long_as_it_asks() {
        let (now, first) = (Instant::now(), Duration::from_secs(1));
        let mut pauses = Pauses::default();
        pauses.failed(None, first, now);
        pauses.failed(None, first, now);
        assert_eq!(pauses.left(now), None);
        pauses.failed(None, first, now);
        assert_eq!(pauses.left(now), Some(first));
        for _ in 0..16 {
            pauses.failed(None, first, now);
        }
        assert_eq!(
            pauses.left(now),
            Some(first),
            "those under way beside it are no further failures"
        );
        pauses.reached();
        pauses.failed(Some(Duration::from_secs(7)), first, now);
        assert_eq!(pauses.left(now), Some(Duration::from_secs(7)));
        pauses.failed(Some(Duration::from_secs(3)), first, now);
        assert_eq!(pauses.left(now), Some(Duration::from_secs(7)), "the longest holds");
        assert_eq!(pauses.left(now + Duration::from_secs(7)), None);
        let mut later = now + Duration::from_secs(7);
        for _ in 0..40 {
            pauses.failed(None, first, later);
            pauses.failed(None, first, later);
            later += pauses.left(later).unwrap_or_default();
        }
        pauses.failed(None, first, later);
        assert_eq!(pauses.left(later), Some(LONGEST));
    }
}
