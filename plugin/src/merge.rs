//! Folding checked notifications into one run and its jobs.
//!
//! Each part of the fold is a least or a greatest value, so the fold is commutative, associative and idempotent: order, repetition and
//! grouping make no difference. For the status this is DX's rule too: sorted by start, a later one replaces an earlier one only if it
//! ranks higher, and what remains in the end is the highest, whatever the order. A job is a greatest value too: of its executions the one
//! with the latest start.

#[cfg(test)]
mod tests;

use crate::field::Field;
use crate::finding::{Finding, Problem, violations};
use crate::limits::MAX_ATTRIBUTES;
use crate::timestamp::Timestamp;
use crate::validate::{Checked, Fields};
use crate::{Attribute, Job, Report, Run, Status, Violation, words};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The fold of some notifications of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold<'a> {
    run: RunFold<'a>,
    /// The latest execution of each step, by the step's id.
    jobs: BTreeMap<words::Key<'a>, Execution<'a>>,
    /// The greatest value of each of the first [`MAX_ATTRIBUTES`] keys. Of a part of the notifications, each of these keys is among the
    /// first, too.
    attributes: BTreeMap<&'a str, &'a str>,
}

/// The fold of everything but jobs and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RunFold<'a> {
    fields: Fields<'a>,
    /// The earliest start. Steps may lack it.
    started_at: Option<Timestamp>,
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

    fn of(event: &Checked<'_>) -> Self {
        Self {
            status: event.status(),
            finished_at: event.finished_at(),
        }
    }

    fn join(&mut self, other: Self) {
        self.status = self.status.max(other.status);
        self.finished_at = self.finished_at.max(other.finished_at);
    }

    /// Returns `self` if `counted`, else [`Self::NOTHING`].
    fn if_counted(self, counted: bool) -> Self {
        if counted { self } else { Self::NOTHING }
    }
}

/// The latest execution of a step: the notifications with the latest start. One without a start is the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Execution<'a> {
    started_at: Option<Timestamp>,
    name: &'a str,
    outcome: Outcome,
}

impl Execution<'_> {
    fn join(&mut self, other: Self) {
        match self.started_at.cmp(&other.started_at) {
            Ordering::Less => *self = other,
            Ordering::Greater => {}
            Ordering::Equal => {
                self.name = words::max(self.name, other.name);
                self.outcome.join(other.outcome);
            }
        }
    }
}

impl<'a> Fold<'a> {
    /// The fold of one notification.
    pub fn of(event: &Checked<'a>) -> Self {
        let mut fold = Self {
            run: RunFold::of(event),
            jobs: BTreeMap::new(),
            attributes: BTreeMap::new(),
        };
        fold.add_parts(event);
        fold
    }

    /// Adds a notification, which must be of the same run.
    pub fn add(&mut self, event: &Checked<'a>) {
        self.run.join(&RunFold::of(event));
        self.add_parts(event);
    }

    fn add_parts(&mut self, event: &Checked<'a>) {
        if let Some(step) = event.step() {
            let execution = Execution {
                started_at: event.started_at(),
                name: step.name,
                outcome: Outcome::of(event),
            };
            self.add_job(step.id, execution);
        }
        event
            .attributes()
            .for_each(|(key, value)| self.add_attribute(key, value));
    }

    fn add_job(&mut self, id: &'a str, execution: Execution<'a>) {
        match self.jobs.entry(words::Key(id)) {
            Entry::Occupied(mut known) => known.get_mut().join(execution),
            Entry::Vacant(place) => {
                place.insert(execution);
            }
        }
    }

    fn add_attribute(&mut self, key: &'a str, value: &'a str) {
        let known = self.attributes.entry(key).or_insert(value);
        *known = words::max(known, value);
        if self.attributes.len() > MAX_ATTRIBUTES {
            self.attributes.pop_last();
        }
    }

    /// The outcome over the notifications about the whole run: DX's own rule. DX has steps as jobs, which change no run.
    pub fn merged(&self) -> Outcome {
        self.run.whole
    }

    /// The outcome at the end of a run.
    pub fn finished(&self) -> Outcome {
        self.run.finished()
    }

    /// The run with an outcome, and its jobs.
    ///
    /// # Errors
    /// The violation that no notification has a start.
    pub fn report(&self, outcome: Outcome) -> Result<Report, Vec<Violation>> {
        let no_start = || {
            violations(vec![Finding {
                field: Field::StartedAt,
                problem: Problem::Missing,
            }])
        };
        let started_at = self.run.started_at.ok_or_else(no_start)?;
        let attributes = self.attributes.iter().map(|(key, value)| Attribute {
            key: (*key).into(),
            value: (*value).into(),
        });
        let mut jobs: Vec<Job> = self.jobs.iter().map(|(id, job)| job.job(id.0)).collect();
        jobs.sort_unstable_by(|one, other| one.reference_id.cmp(&other.reference_id));
        Ok(Report {
            run: Run {
                attributes: attributes.collect(),
                ..self.run.run(started_at, outcome)
            },
            jobs,
        })
    }
}

impl Execution<'_> {
    fn job(&self, id: &str) -> Job {
        Job {
            reference_id: id.into(),
            name: self.name.into(),
            status: self.outcome.status,
            started_at: self.started_at.map(Timestamp::to_rfc3339),
            finished_at: self.outcome.finished_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl<'a> RunFold<'a> {
    fn of(event: &Checked<'a>) -> Self {
        let all = Outcome::of(event);
        let is_step = event.step().is_some();
        Self {
            fields: event.fields(),
            started_at: event.started_at(),
            whole: all.if_counted(!is_step),
            binding: all.if_counted(!is_step || !event.is_allowed_to_fail()),
        }
    }

    fn join(&mut self, other: &Self) {
        self.fields.join(&other.fields);
        self.started_at = match (self.started_at, other.started_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.whole.join(other.whole);
        self.binding.join(other.binding);
    }

    /// The outcome at the end of a run. A notification that ended the whole run decides alone: a retried or tolerated step must not turn
    /// a successful run into a failed one, since DX never takes a failure back. Otherwise the steps decide, except those allowed to fail.
    /// Only the whole run's finish counts, or DX would show the run as done after its first step.
    fn finished(&self) -> Outcome {
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

    fn run(&self, started_at: Timestamp, outcome: Outcome) -> Run {
        let fields = &self.fields;
        Run {
            pipeline_name: fields.pipeline_name.into(),
            pipeline_source: fields.pipeline_source.into(),
            reference_id: fields.reference_id.into(),
            started_at: started_at.to_rfc3339(),
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
            attributes: Vec::new(),
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
