//! A question to a chain: a hook with its argument, and the time left for the answer.

use crate::types::Notification;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A hook and what it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// A run begins.
    PipelineStart(&'a Notification),
    /// A step began or ended.
    Step(&'a Notification),
    /// A run ended; every notification of it that is known, in any order.
    PipelineFinish(&'a [Notification]),
}

impl Question<'_> {
    /// Name of the hook, as the contract spells it.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        match self {
            Self::PipelineStart(_) => "pipeline-start",
            Self::Step(_) => "step",
            Self::PipelineFinish(_) => "pipeline-finish",
        }
    }

    /// The notifications that are asked about.
    #[must_use]
    pub fn notifications(&self) -> &[Notification] {
        match self {
            Self::PipelineStart(event) | Self::Step(event) => std::slice::from_ref(*event),
            Self::PipelineFinish(history) => history,
        }
    }
}

/// A question that outlives who asks it.
pub enum OwnedQuestion {
    PipelineStart(Notification),
    Step(Notification),
    PipelineFinish(Vec<Notification>),
}

impl OwnedQuestion {
    pub fn of(question: &Question<'_>) -> Self {
        match *question {
            Question::PipelineStart(event) => Self::PipelineStart(event.clone()),
            Question::Step(event) => Self::Step(event.clone()),
            Question::PipelineFinish(history) => Self::PipelineFinish(history.to_vec()),
        }
    }

    pub fn question(&self) -> Question<'_> {
        match self {
            Self::PipelineStart(event) => Question::PipelineStart(event),
            Self::Step(event) => Question::Step(event),
            Self::PipelineFinish(history) => Question::PipelineFinish(history),
        }
    }
}

/// One question on its way.
pub struct Asking {
    /// The question that the rules got is to be told as well.
    pub seen: bool,
    /// When the links must have answered, but for the time that the rules take.
    until: Instant,
    rules: Mutex<RulesTime>,
}

/// Time in the rules. They are the project's own and their input is bounded, so no clock runs against them: on a machine that gives a
/// process a tenth of a CPU, a large history takes them seconds.
#[derive(Default)]
struct RulesTime {
    spent: Duration,
    since: Option<Instant>,
}

impl Asking {
    pub fn new(time: Duration, seen: bool) -> Self {
        Self {
            seen,
            until: Instant::now() + time,
            rules: Mutex::default(),
        }
    }

    /// When the links must have answered, as far as can be said now.
    pub fn until(&self) -> Instant {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        self.until + rules.spent + rules.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Does what the rules do.
    pub fn in_rules<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        self.note(|rules| rules.since = Some(began));
        let done = work();
        self.note(|rules| {
            rules.since = None;
            rules.spent += began.elapsed();
        });
        done
    }

    fn note(&self, change: impl FnOnce(&mut RulesTime)) {
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
