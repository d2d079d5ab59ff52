//! How long a delivery may take, and how to end it early.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time that a delivery may take. Clones share it: cancelling one ends the waits of all.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Instant,
    cancelled: Arc<(Mutex<bool>, Condvar)>,
}

impl Budget {
    /// A budget that begins now.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        // Instants end somewhere: a length beyond that is as good as a hundred years.
        let now = Instant::now();
        let deadline = now
            .checked_add(length)
            .or_else(|| now.checked_add(Duration::from_hours(100 * 365 * 24)))
            .unwrap_or(now);
        Self {
            deadline,
            cancelled: Arc::default(),
        }
    }

    /// A part of it, at most this long, that ends when the whole is cancelled.
    #[must_use]
    pub fn within(&self, length: Duration) -> Self {
        let part = Self::new(length);
        Self {
            deadline: part.deadline.min(self.deadline),
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    /// Ends it now. A request that is under way is not interrupted; nothing new begins.
    pub fn cancel(&self) {
        *self.cancelled.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.cancelled.1.notify_all();
    }

    /// What is left; none if it is over or cancelled.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        if *self.cancelled.0.lock().unwrap_or_else(PoisonError::into_inner) {
            return None;
        }
        self.deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// When it is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits, but no longer than there is budget. Tells whether any is left.
    pub fn sleep(&self, length: Duration) -> bool {
        let Some(left) = self.left() else { return false };
        let (cancelled, changed) = &*self.cancelled;
        let guard = cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, length.min(left), |cancelled| !*cancelled);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.left().is_some()
    }
}
