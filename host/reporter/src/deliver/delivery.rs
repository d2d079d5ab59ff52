//! What came of a delivery.

use crate::spool::PolicyChain;
use std::collections::BTreeMap;

/// Entries kept of each list of a [`Delivery`]; the counts beside them are complete.
pub(super) const MOST_NAMED: usize = 20;

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
