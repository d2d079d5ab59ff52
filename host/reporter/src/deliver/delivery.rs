//! What came of a delivery.

use crate::dx::{Client, Outcome};
use crate::spool::PolicyChain;
use crate::token::Token;
use pipefold_sandbox::{Notification, Run};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries kept of each list of a [`Delivery`]; the counts beside them are complete.
pub const MOST_NAMED: usize = 20;

/// What came of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Requests that DX accepted.
    pub accepted: usize,
    /// Runs that wait on, with the reason; the first twenty.
    pub kept: Vec<UndeliveredRun>,
    /// How many runs wait on.
    pub kept_count: usize,
    /// Runs that were not looked at, as there was no time left.
    pub not_looked_at: usize,
    /// What DX or the rules refused for good, with their words; the first twenty.
    pub rejected: Vec<UndeliveredRun>,
    /// How many were refused for good.
    pub rejected_count: usize,
    /// Notifications that wait but belong to another DX or token.
    pub foreign: usize,
    /// Notifications that wait for policies which this process does not have: how many for each chain.
    pub other_policies: BTreeMap<PolicyChain, usize>,
    /// Runs that a policy discarded, with its reason; the first twenty.
    pub discarded: Vec<UndeliveredRun>,
    /// Nothing of the run that the delivery began with waits any more.
    pub first_settled: bool,
    /// Other runs that are known to wait and were not due.
    pub others_wait: usize,
    /// Why other runs were not tried, where something keeps all of them.
    pub put_off: Option<String>,
    /// Runs of which nothing was heard for so long that they were ended as cancelled.
    pub abandoned: usize,
    /// Another process was delivering what else waits.
    pub busy: bool,
    /// Nothing could be delivered at all, for this reason.
    pub impossible: Option<String>,
    /// Things that went wrong and stopped nothing.
    pub warnings: Vec<String>,
    /// Things worth telling with nothing wrong in reporting.
    pub notes: Vec<String>,
}

/// A run and why it was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndeliveredRun {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// Why it waits or was refused.
    pub why: String,
}

impl Delivery {
    /// Why the run was not delivered, if it was not.
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

/// Where deliveries end: DX, or a queue before it.
///
/// What is recorded in the spool leaves it only after [`Outcome::Accepted`]: an outlet that answers this keeps the run as safely as a disk does.
pub trait Outlet: Send + Sync {
    /// Its address, without anything secret. Stands in the spool: what was recorded for another is not sent here.
    fn address(&self) -> String;

    /// A short name for what it is asked with, safe to store and to show: 12 hexadecimal digits of a hash, or a word where nothing is
    /// needed.
    fn credentials(&self) -> String;

    /// Hands a run over, within `timeout`. Once: whether to try again is the caller's to decide.
    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome;

    /// Tells of a run's steps, where they are shown. That they do not arrive is no failure.
    fn tell_steps(&self, _run: &Run, _steps: &[&Notification], _timeout: Duration) {}
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

    fn tell_steps(&self, run: &Run, steps: &[&Notification], timeout: Duration) {
        self.client.tell_steps(run, steps.iter().copied(), self.token, timeout);
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
