//! A limit of requests in a window of time, and then 429.

use std::time::{Duration, Instant};

/// A limit by fixed windows, as most services count: the first request begins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most requests in a window.
    pub requests: u32,
    /// The length of a window.
    pub window: Duration,
}

/// A limit, and how much of the present window is used.
#[derive(Debug)]
pub(super) struct Window {
    limit: Limit,
    begun: Option<Instant>,
    used: u32,
}

impl Window {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            begun: None,
            used: 0,
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The rest of the window, if it is used up.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let age = self.begun.map(|begun| now.saturating_duration_since(begun));
        match age {
            Some(age) if age < self.limit.window => {
                if self.used >= self.limit.requests {
                    return Err(self.limit.window - age);
                }
            }
            _ => {
                self.begun = Some(now);
                self.used = 0;
            }
        }
        self.used += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_its_number_and_gives_the_wait_for_the_next() {
        let second = Duration::from_secs(1);
        let mut window = Window::new(Limit {
            requests: 2,
            window: second * 60,
        });
        let begun = Instant::now();
        assert_eq!(window.take(begun), Ok(()));
        assert_eq!(window.take(begun + second * 10), Ok(()));
        assert_eq!(window.take(begun + second * 20), Err(second * 40));
        assert_eq!(window.take(begun + second * 60), Ok(()));
        assert_eq!(window.take(begun + second * 70), Ok(()));
        assert_eq!(window.take(begun + second * 70), Err(second * 50));
    }
}
