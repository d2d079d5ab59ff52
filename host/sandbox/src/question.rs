//! A question to a chain: a hook with its argument, and the time left for the answer.

use crate::{trace::Recorder, types::Notification};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A hook with its argument.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// A run begins.
    PipelineStart(&'a Notification),
    /// A step began or ended.
    Step(&'a Notification),
    /// A run ended; every known notification of it, in any order.
    PipelineFinish(&'a [Notification]),
}

impl Question<'_> {
    /// The hook's name in the contract.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        match self {
            Self::PipelineStart(_) => "pipeline-start",
            Self::Step(_) => "step",
            Self::PipelineFinish(_) => "pipeline-finish",
        }
    }

    /// Returns true if the other question is the same.
    pub(crate) fn is(&self, other: &Question<'_>) -> bool {
        self.hook() == other.hook() && self.notifications() == other.notifications()
    }

    /// The notifications in its argument.
    #[must_use]
    pub fn notifications(&self) -> &[Notification] {
        match self {
            Self::PipelineStart(event) | Self::Step(event) => std::slice::from_ref(*event),
            Self::PipelineFinish(history) => history,
        }
    }
}

/// A question with its own copy of the argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedQuestion {
    /// As [`Question::PipelineStart`].
    PipelineStart(Notification),
    /// As [`Question::Step`].
    Step(Notification),
    /// As [`Question::PipelineFinish`].
    PipelineFinish(Vec<Notification>),
}

impl OwnedQuestion {
    /// Copies a question.
    #[must_use]
    pub fn of(question: &Question<'_>) -> Self {
        match *question {
            Question::PipelineStart(event) => Self::PipelineStart(event.clone()),
            Question::Step(event) => Self::Step(event.clone()),
            Question::PipelineFinish(history) => Self::PipelineFinish(history.to_vec()),
        }
    }

    /// The question.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        match self {
            Self::PipelineStart(event) => Question::PipelineStart(event),
            Self::Step(event) => Question::Step(event),
            Self::PipelineFinish(history) => Question::PipelineFinish(history),
        }
    }

    /// The hook's name in the contract.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        self.question().hook()
    }

    /// The notifications in its argument.
    #[must_use]
    pub fn notifications(&self) -> &[Notification] {
        match self {
            Self::PipelineStart(event) | Self::Step(event) => std::slice::from_ref(event),
            Self::PipelineFinish(history) => history,
        }
    }
}

/// A question on its way through a chain, shared by all links.
pub struct Asking {
    /// True if the answer must have the notifications that the rules got.
    pub seen: bool,
    /// The record of its way.
    pub recorder: Recorder,
    /// The deadline of the links, without the time that the rules take.
    until: Instant,
    rules: Mutex<RulesTime>,
}

/// The time spent in the rules. It does not count against the deadline, as the rules are the project's own and their input is bounded: on
/// a machine that gives a process a tenth of a CPU, a large history takes them seconds.
#[derive(Default)]
struct RulesTime {
    spent: Duration,
    since: Option<Instant>,
}

impl Asking {
    pub fn new(time: Duration, seen: bool) -> Self {
        Self::recorded(time, seen, Recorder::default())
    }

    pub fn recorded(time: Duration, seen: bool, recorder: Recorder) -> Self {
        Self {
            seen,
            recorder,
            until: Instant::now() + time,
            rules: Mutex::default(),
        }
    }

    /// The current deadline of the links; it moves while the rules run.
    pub fn until(&self) -> Instant {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        self.until + rules.spent + rules.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Runs `work` of the rules, and moves the deadline by its time.
    pub fn in_rules<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        self.update(|rules| rules.since = Some(began));
        let done = work();
        self.update(|rules| {
            rules.since = None;
            rules.spent += began.elapsed();
        });
        done
    }

    fn update(&self, change: impl FnOnce(&mut RulesTime)) {
        change(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_the_rules_does_not_count_for_policies() {
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
