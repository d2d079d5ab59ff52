//! Until when a caller waits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A moment up to which a caller waits for a component to be compiled. Clones share it, so that another thread can bring it forward:
/// a build's end is not known when the wait begins.
#[derive(Clone, Debug, Default)]
pub struct Deadline(Arc<Mutex<Option<Instant>>>);

impl Deadline {
    /// Waits as long as it takes.
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// Waits until then.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(Arc::new(Mutex::new(Some(moment))))
    }

    /// Moves it, also for those who wait already; they notice within some 10 ms. `Instant::now()` ends the wait.
    pub fn set(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.pause(Duration::ZERO).is_none()
    }

    /// How long to sleep before the next look at it, `most` at the longest; none if it has passed.
    pub(crate) fn pause(&self, most: Duration) -> Option<Duration> {
        let moment = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(moment) = moment else { return Some(most) };
        let left = moment.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left.min(most))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_it() {
        let second = Duration::from_secs(1);
        let deadline = Deadline::never();
        assert_eq!(deadline.pause(second), Some(second));
        let other = deadline.clone();
        other.set(Instant::now() + Duration::from_millis(500));
        assert!(deadline.pause(second).unwrap() < second && !deadline.is_over());
        other.set(Instant::now());
        assert!(deadline.is_over());
    }
}
