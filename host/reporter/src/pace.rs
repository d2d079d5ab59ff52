//! The rate of requests, and pauses after failures.

use std::time::{Duration, Instant};

/// A token bucket: one token for each request.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    size: f64,
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket. It holds the tokens of a tenth of a second, and at least one: a burst that no limit over a second notices.
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

    /// Takes a token; false if there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// Takes a token that may not be there yet, and returns the time until it is: later ones wait for it.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.per_second)
    }

    /// Puts back a token for which no request was sent.
    pub fn put_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.size);
    }

    /// The time until there is a token.
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }

    /// The number of tokens that are added in `time`.
    pub fn within(&self, time: Duration) -> usize {
        (self.per_second * time.as_secs_f64()) as usize
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.size);
        self.at = self.at.max(now);
    }
}

/// Failures in a row, of any runs, after which DX counts as unreachable and no single run as the cause.
const IN_A_ROW: u32 = 3;

/// The longest pause after such failures: the end of an outage is noticed within it.
const LONGEST: Duration = Duration::from_secs(15);

/// The pause after DX rejected the token or redirected, which only a person can change.
pub const STUCK: Duration = Duration::from_secs(30);

/// The pause of all requests.
#[derive(Debug, Default)]
pub struct Pauses {
    until: Option<Instant>,
    failures: u32,
    doubtful: bool,
}

impl Pauses {
    /// The rest of the pause; `None` outside a pause.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Notes that DX answered, whether it accepted the run or not.
    pub fn reached(&mut self) {
        self.failures = 0;
        self.doubtful = false;
    }

    /// Returns true from a pause after failures until DX answers again: one request at a time is sent then.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Notes a failure that may pass. `after` is the pause that DX asked for, which holds for every run.
    pub fn failed(&mut self, after: Option<Duration>, first: Duration, now: Instant) {
        if let Some(after) = after {
            // DX answers, and names the pause itself.
            self.until(now + after);
            return;
        }
        if self.left(now).is_some() {
            // This request was under way when the pause began, so its failure is no further one.
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= IN_A_ROW {
            self.doubtful = true;
            let doubled = (self.failures - IN_A_ROW).min(8);
            self.until(now + (first * 2_u32.pow(doubled)).min(LONGEST));
        }
    }

    /// Notes an answer that only a person can change.
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
    fn reserved_tokens_keep_their_distance() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::new(10.0, begin);
        let waits: Vec<u128> = (0..4).map(|_| bucket.reserve(begin).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 300]);
        assert!(!bucket.take(begin + Duration::from_millis(399)));
        assert!(bucket.take(begin + Duration::from_millis(401)));
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
    fn one_runs_failure_pauses_no_other_and_the_pause_of_dx_holds_for_all() {
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
