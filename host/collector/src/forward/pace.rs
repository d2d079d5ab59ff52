//! So many a second, and no more after a pause: what waited through an outage goes out as evenly as what comes.

use std::time::{Duration, Instant};

/// The times at which something may be sent.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / per_second.clamp(0.1, 1000.0)),
            next: None,
        }
    }

    /// How long to wait before sending at `now`. Sending is taken for done at the end of the wait.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        // A time that passed unused is no credit.
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at + self.interval);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_earns_nothing() {
        let mut pace = Pace::new(10.0);
        let begin = Instant::now();
        assert_eq!(pace.wait(begin), Duration::ZERO);
        assert_eq!(pace.wait(begin), Duration::from_millis(100));
        assert_eq!(pace.wait(begin), Duration::from_millis(200));
        let later = begin + Duration::from_secs(3600);
        assert_eq!(pace.wait(later), Duration::ZERO);
        assert_eq!(pace.wait(later), Duration::from_millis(100), "no burst");
        assert_eq!(pace.wait(later + Duration::from_millis(150)), Duration::from_millis(50));
    }
}
