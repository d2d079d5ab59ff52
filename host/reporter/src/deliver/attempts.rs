//! The order of runs in a delivery, the pauses between attempts, and their outcomes.

use super::delivery::Budget;
use crate::spool::RunKey;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

/// First pause after a failure: long enough for a restarted proxy, short beside the smallest budget.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause without DX asking for one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A run that is to be delivered.
#[derive(Debug)]
pub struct Attempt {
    pub key: RunKey,
    /// The reason why the last attempt failed.
    pub why: Option<String>,
    not_before: Option<Instant>,
    pauses: ExponentialBackoff,
}

/// A run that is attempted.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub key: RunKey,
    /// True for the delivery's own run, and in a flush: pauses do not apply.
    pub is_pressing: bool,
    /// True for the delivery's own run.
    pub is_own: bool,
    /// True if the run had no activity for so long that it is ended, if it has no end.
    pub is_abandoned: bool,
    pub deadline: Instant,
    /// The budget of the delivery, which may be cancelled before the deadline.
    pub budget: &'a Budget,
}

/// The outcome of one attempt to deliver a run.
pub enum AttemptOutcome {
    /// No notification of the run waits any more.
    Settled,
    /// No notification of the run can be sent: all are held, or another destination's.
    Nothing,
    /// Another process is sending it.
    Elsewhere,
    /// The attempt failed and may be repeated, after the pause that DX asked for, if it did.
    Again { why: String, after: Option<Duration> },
    /// The run is not due before this time.
    Paused(u64),
    /// The run waits, for this reason, which this process cannot remove.
    Kept(String),
    /// Policies or rules gave no verdict.
    Unjudged(String),
    /// No run can be delivered now, for this reason.
    Hopeless(String),
}

/// The runs that are to be delivered, each with its own pauses, so that a run that fails does not hold up another.
#[derive(Debug, Default)]
pub struct Attempts {
    queue: VecDeque<Attempt>,
    /// The end of the pause that DX asked for, for all runs.
    paused_until: Option<Instant>,
}

/// The next action of a delivery.
#[derive(Debug)]
pub enum Next {
    /// Attempt this run now.
    Try(Attempt),
    /// Wait this long: no run is due before.
    Wait(Duration),
    /// End: no run is left.
    Done,
}

impl Attempts {
    pub fn new(first: impl IntoIterator<Item = RunKey>) -> Self {
        let mut attempts = Self::default();
        attempts.add(first);
        attempts
    }

    /// Adds runs at the end.
    pub fn add(&mut self, keys: impl IntoIterator<Item = RunKey>) {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            // The library's own seed is the same everywhere, so that all machines would send again at once.
            .with_jitter_seed(RandomState::new().build_hasher().finish());
        self.queue.extend(keys.into_iter().map(|key| Attempt {
            key,
            why: None,
            not_before: None,
            pauses: pauses.build(),
        }));
    }

    /// The number of runs that wait beside the current one.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next action of a delivery. Without `new`, only runs that were attempted before are attempted again.
    pub fn next(&mut self, new: bool) -> Next {
        let now = Instant::now();
        if let Some(pause) = self.paused_until.and_then(|until| until.checked_duration_since(now))
            && !self.queue.is_empty()
        {
            return Next::Wait(pause);
        }
        let due = |attempt: &Attempt| match attempt.not_before {
            None => new,
            Some(time) => time <= now,
        };
        if let Some(index) = self.queue.iter().position(due) {
            return self.queue.remove(index).map_or(Next::Done, Next::Try);
        }
        let earliest = self.queue.iter().filter_map(|attempt| attempt.not_before).min();
        earliest.map_or(Next::Done, |time| Next::Wait(time.duration_since(now)))
    }

    /// Attempts the run again after its own next pause.
    pub fn again(&mut self, mut attempt: Attempt, why: String) {
        let pause = attempt.pauses.next().unwrap_or(LONGEST_PAUSE);
        attempt.not_before = Instant::now().checked_add(pause);
        attempt.why = Some(why);
        self.queue.push_back(attempt);
    }

    /// Attempts no run for this long, as DX asked.
    pub fn pause_all(&mut self, length: Duration) {
        self.paused_until = Instant::now().checked_add(length).max(self.paused_until);
    }

    /// The runs that were not delivered.
    pub fn rest(self) -> impl Iterator<Item = Attempt> {
        self.queue.into_iter()
    }
}
