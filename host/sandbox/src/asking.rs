//! What all links share while one question goes through a chain: the time that is left, and what is to be told in the end.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// One question on its way.
pub(crate) struct Asking {
    /// The question that the rules got is to be told as well.
    pub(crate) seen: bool,
    /// When the links must have answered, but for the time that the rules take.
    until: Instant,
    rules: Mutex<Rules>,
}

/// Time in the rules. They are the project's own and their input is bounded, so no clock runs against them: on a machine that gives a
/// process a tenth of a CPU, a large history takes them seconds.
#[derive(Default)]
struct Rules {
    spent: Duration,
    since: Option<Instant>,
}

impl Asking {
    pub(crate) fn new(time: Duration, seen: bool) -> Self {
        Self {
            seen,
            until: Instant::now() + time,
            rules: Mutex::default(),
        }
    }

    /// When the links must have answered, as far as can be said now.
    pub(crate) fn until(&self) -> Instant {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        self.until + rules.spent + rules.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Does what the rules do.
    pub(crate) fn in_rules<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        self.note(|rules| rules.since = Some(began));
        let done = work();
        self.note(|rules| {
            rules.since = None;
            rules.spent += began.elapsed();
        });
        done
    }

    fn note(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_the_rules_is_not_the_policies() {
        let asking = Asking::new(Duration::from_secs(1), false);
        let end = asking.until();
        let nap = Duration::from_millis(20);
        asking.in_rules(|| {
            std::thread::sleep(nap);
            assert!(asking.until() >= end + nap);
        });
        let later = asking.until();
        assert!(later >= end + nap);
        std::thread::sleep(nap);
        assert_eq!(asking.until(), later);
    }
}
