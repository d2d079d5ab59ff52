//! So many requests a second.

use std::time::{Duration, Instant};

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    size: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one. It holds a tenth of a second's tokens, and at least one: a burst that no limit over a second notices.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
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
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// How long until there is one.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }

    /// How many come in a time.
    pub(super) fn within(&self, time: Duration) -> usize {
        (self.per_second * time.as_secs_f64()) as usize
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.size);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_tokens_and_one_burst() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(100.0, begin);
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
        let mut bucket = Bucket::new(0.5, begin);
        let later = begin + Duration::from_secs(3600);
        assert!(bucket.take(later));
        assert!(!bucket.take(later));
        assert_eq!(bucket.wait(later), Duration::from_secs(2));
        assert!(bucket.take(later + Duration::from_secs(2)));
        assert_eq!(bucket.within(Duration::from_secs(60)), 30);
    }
}
