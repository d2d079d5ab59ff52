//! Folding checked notifications into one run.
//!
//! Each part of the fold is a least or a greatest value, so the fold is commutative, associative and idempotent: order, repetition and
//! grouping make no difference. For the status this is DX's rule too: sorted by start, a later one replaces an earlier one only if it
//! ranks higher, and what remains in the end is the highest, whatever the order.

#[cfg(test)]
mod tests;

use crate::timestamp::Timestamp;
use crate::validate::{Checked, Fields};
use crate::{Run, Status, words};

/// The fold of some notifications of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold<'a> {
    fields: Fields<'a>,
    /// The earliest start.
    started_at: Timestamp,
    all: Outcome,
    /// Of the notifications about the whole run alone.
    whole: Outcome,
    /// Of all but the steps that are allowed to fail.
    binding: Outcome,
}

/// An outcome: the highest status and the latest finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    pub finished_at: Option<Timestamp>,
}

impl Outcome {
    const NOTHING: Self = Self {
        status: Status::Unknown,
        finished_at: None,
    };

    fn join(&mut self, other: Self) {
        self.status = self.status.max(other.status);
        self.finished_at = self.finished_at.max(other.finished_at);
    }

    /// Returns `self` if `counted`, else [`Self::NOTHING`].
    fn if_counted(self, counted: bool) -> Self {
        if counted { self } else { Self::NOTHING }
    }
}

impl<'a> Fold<'a> {
    /// The fold of one notification.
    pub fn of(event: &Checked<'a>) -> Self {
        let all = Outcome {
            status: event.status(),
            finished_at: event.finished_at(),
        };
        Self {
            fields: event.fields(),
            started_at: event.started_at(),
            all,
            whole: all.if_counted(!event.is_step()),
            binding: all.if_counted(!event.is_step() || !event.is_allowed_to_fail()),
        }
    }

    /// Joins the fold of other notifications, which must be of the same run.
    pub fn join(&mut self, other: &Self) {
        self.fields.join(&other.fields);
        self.started_at = self.started_at.min(other.started_at);
        self.all.join(other.all);
        self.whole.join(other.whole);
        self.binding.join(other.binding);
    }

    /// The outcome over all notifications: DX's own rule.
    pub fn merged(&self) -> Outcome {
        self.all
    }

    /// The outcome at the end of a run. A notification that ended the whole run decides alone: a retried or tolerated step must not turn
    /// a successful run into a failed one, since DX never takes a failure back. Otherwise the steps decide, except those allowed to fail.
    /// Only the whole run's finish counts, or DX would show the run as done after its first step.
    pub fn finished(&self) -> Outcome {
        let deciding = if self.whole.status >= Status::Success {
            self.whole
        } else {
            self.binding
        };
        Outcome {
            status: deciding.status,
            finished_at: self.whole.finished_at,
        }
    }

    /// The run with an outcome.
    pub fn run(&self, outcome: Outcome) -> Run {
        let fields = &self.fields;
        Run {
            pipeline_name: fields.pipeline_name.into(),
            pipeline_source: fields.pipeline_source.into(),
            reference_id: fields.reference_id.into(),
            started_at: self.started_at.to_rfc3339(),
            finished_at: outcome.finished_at.map(Timestamp::to_rfc3339),
            status: outcome.status,
            repository: fields.repository.map(Into::into),
            commit_sha: fields.commit_sha.map(Into::into),
            pr_number: fields.pr_number,
            source_url: fields.source_url.map(Into::into),
            head_branch: fields.head_branch.map(Into::into),
            email: fields.email.map(Into::into),
            github_username: fields.github_username.map(Into::into),
            gitlab_username: fields.gitlab_username.map(Into::into),
        }
    }
}

impl<'a> Fields<'a> {
    /// Takes the greater value of each field: text by its bytes, numbers by size; any value is greater than none.
    fn join(&mut self, other: &Self) {
        self.pipeline_name = words::max(self.pipeline_name, other.pipeline_name);
        self.pipeline_source = words::max(self.pipeline_source, other.pipeline_source);
        self.reference_id = words::max(self.reference_id, other.reference_id);
        self.pr_number = self.pr_number.max(other.pr_number);
        self.repository = greatest(self.repository, other.repository);
        self.commit_sha = greatest(self.commit_sha, other.commit_sha);
        self.source_url = greatest(self.source_url, other.source_url);
        self.head_branch = greatest(self.head_branch, other.head_branch);
        self.email = greatest(self.email, other.email);
        self.github_username = greatest(self.github_username, other.github_username);
        self.gitlab_username = greatest(self.gitlab_username, other.gitlab_username);
    }
}

fn greatest<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    match (one, other) {
        (Some(one), Some(other)) => Some(words::max(one, other)),
        (one, other) => one.or(other),
    }
}
