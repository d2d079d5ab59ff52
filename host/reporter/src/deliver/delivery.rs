//! The result of a delivery.

use crate::dx::{Client, Outcome};
use crate::spool::PolicyChain;
use crate::token::Token;
use pipefold_sandbox::{Job, Run};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most entries of each list of a [`Delivery`]; the counts beside them are complete.
pub const MOST_NAMED: usize = 20;

/// The result of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Requests about runs that DX accepted.
    pub accepted: usize,
    /// Jobs that DX accepted.
    pub jobs: usize,
    /// Runs that still wait, with the reason; the first twenty.
    pub kept: Vec<UndeliveredRun>,
    /// The number of runs that still wait.
    pub kept_count: usize,
    /// The number of runs that were not read, since there was no time left.
    pub not_attempted: usize,
    /// Runs that DX or the rules refused for good, with the reason; the first twenty.
    pub rejected: Vec<UndeliveredRun>,
    /// The number of runs refused for good.
    pub rejected_count: usize,
    /// The number of notifications that wait for another DX or token.
    pub foreign: usize,
    /// The number of notifications that wait for policies which this process does not have, by chain.
    pub other_policies: BTreeMap<PolicyChain, usize>,
    /// Runs that a policy discarded, with its reason; the first twenty.
    pub discarded: Vec<UndeliveredRun>,
    /// True if no notification of the delivery's first run waits any more.
    pub first_settled: bool,
    /// The number of other runs that wait and were not due.
    pub others_wait: usize,
    /// The reason why no other run was attempted, if there is one.
    pub put_off: Option<String>,
    /// The number of runs without activity that were ended as cancelled.
    pub abandoned: usize,
    /// True if another process was delivering the other runs.
    pub busy: bool,
    /// The reason why nothing could be delivered at all.
    pub impossible: Option<String>,
    /// Faults that stopped nothing.
    pub warnings: Vec<String>,
    /// Remarks that are not about faults.
    pub notes: Vec<String>,
}

/// A run that was not delivered, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndeliveredRun {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// The reason why it waits, was refused or was discarded.
    pub why: String,
}

impl Delivery {
    /// Returns why the run was not delivered, if it was not.
    #[must_use]
    pub fn trouble_of(&self, reference_id: &str) -> Option<&str> {
        let mut all = self.kept.iter().chain(&self.rejected);
        all.find(|kept| kept.reference_id == reference_id)
            .map(|kept| kept.why.as_str())
    }

    pub(crate) fn keep(&mut self, reference_id: &str, why: impl Into<String>) {
        self.kept_count += 1;
        name(&mut self.kept, reference_id, why.into());
    }

    pub(crate) fn reject(&mut self, reference_id: &str, why: impl Into<String>) {
        self.rejected_count += 1;
        name(&mut self.rejected, reference_id, why.into());
    }

    pub(crate) fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.into());
        }
    }

    pub(crate) fn discard(&mut self, reference_id: &str, why: String) {
        name(&mut self.discarded, reference_id, why);
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.len() < MOST_NAMED && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

fn name(list: &mut Vec<UndeliveredRun>, reference_id: &str, why: String) {
    if list.len() < MOST_NAMED {
        list.push(UndeliveredRun {
            reference_id: reference_id.into(),
            why,
        });
    }
}

/// The place where deliveries end: DX, or a queue before it.
///
/// A notification leaves the spool only after [`Outcome::Accepted`]: an outlet that returns it has stored the run as safely as a disk does.
pub trait Outlet: Send + Sync {
    /// The outlet's address, without secrets. It is in the records: notifications recorded for another address are not sent here.
    fn address(&self) -> String;

    /// A short name of the credentials, safe to store and to show: 12 hexadecimal digits of a hash, or a fixed word if none are needed.
    fn credentials(&self) -> String;

    /// Sends a run once, within `timeout`. The caller decides about repetition.
    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome;

    /// Sends a job of a run once, within `timeout`. The outlet has the run already.
    fn upsert_job(&self, run: &Run, job: &Job, timeout: Duration) -> Outcome;
}

/// DX itself.
pub struct ToDx<'a> {
    pub client: &'a Client,
    pub token: &'a Token,
}

impl Outlet for ToDx<'_> {
    fn address(&self) -> String {
        self.client.url().to_string()
    }

    fn credentials(&self) -> String {
        self.token.digest().to_string()
    }

    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome {
        self.client.upsert(run, self.token, timeout)
    }

    fn upsert_job(&self, run: &Run, job: &Job, timeout: Duration) -> Outcome {
        self.client.upsert_job(run, job, self.token, timeout)
    }
}

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
        // A length beyond the last instant becomes a hundred years.
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

    /// A part of this budget, at most this long, that ends when the whole is cancelled.
    #[must_use]
    pub fn within(&self, length: Duration) -> Self {
        let part = Self::new(length);
        Self {
            deadline: part.deadline.min(self.deadline),
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    /// Ends the budget now. A request under way is not interrupted; no new one begins.
    pub fn cancel(&self) {
        *self.cancelled.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.cancelled.1.notify_all();
    }

    /// The time left; none if the budget is over or cancelled.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        if *self.cancelled.0.lock().unwrap_or_else(PoisonError::into_inner) {
            return None;
        }
        self.deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// The end of the budget.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits, at most as long as the budget. Returns true if any is left.
    pub fn sleep(&self, length: Duration) -> bool {
        let Some(left) = self.left() else { return false };
        let (cancelled, changed) = &*self.cancelled;
        let guard = cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, length.min(left), |cancelled| !*cancelled);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.left().is_some()
    }
}
