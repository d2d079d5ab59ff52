//! Runs that a policy dropped at their start, whose other notifications are dropped too.

use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Runs that are remembered, some 100 bytes each: a day's of a large installation. What is forgotten is judged by itself.
const MOST: usize = 10_000;

/// The latest of them.
#[derive(Debug, Default)]
pub struct Dropped(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Dropped {
    /// Remembers a run.
    pub fn add(&self, reference_id: &str) {
        let key = Sha256::digest(reference_id).into();
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.known.insert(key) {
            return;
        }
        latest.order.push_back(key);
        if latest.order.len() > MOST
            && let Some(oldest) = latest.order.pop_front()
        {
            latest.known.remove(&oldest);
        }
    }

    /// Returns whether a run is one of them.
    pub fn has(&self, reference_id: &str) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !latest.known.is_empty() && latest.known.contains(&<[u8; 32]>::from(Sha256::digest(reference_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known() {
        let dropped = Dropped::default();
        assert!(!dropped.has("0"));
        for n in 0..=MOST {
            dropped.add(&n.to_string());
            dropped.add(&n.to_string());
        }
        assert!(!dropped.has("0") && dropped.has("1") && dropped.has(&MOST.to_string()));
        assert!(dropped.0.lock().is_ok_and(|latest| latest.known.len() == MOST));
    }
}
