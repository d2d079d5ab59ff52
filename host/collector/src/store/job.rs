//! A job of a run: what is appended to it, and the start of one that was reported without.

use chrono::{DateTime, SecondsFormat, Utc};
use pipefold_sandbox::{Job, Status};

/// A job as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The job: if there are policies, as they left it. Its times are in the form of the rules.
    pub job: Job,
    /// True if there were policies.
    pub by_policies: bool,
    /// True if the policies hold it: it is shown, and not sent to DX.
    pub held: bool,
}

/// A stored job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptJob {
    /// An id that never changes, from the same sequence as those of runs.
    pub id: u64,
    /// The fold of its reports.
    pub job: Job,
    /// True if its start is the time of receipt.
    pub assumed: bool,
    /// True if there were policies at its last report.
    pub by_policies: bool,
    /// True if the policies hold its last report.
    pub held: bool,
    /// The time since which DX does not have its state; `None` if it has, or is not to get it.
    pub waiting_since: Option<DateTime<Utc>>,
    /// A digest of the last request that DX answered for good, which need not be sent again.
    pub sent: Option<String>,
}

impl KeptJob {
    /// The start, or the finish of a job without one.
    #[must_use]
    pub fn began(&self) -> Option<DateTime<Utc>> {
        let time = |text: &Option<String>| text.as_deref().and_then(time);
        time(&self.job.started_at).or_else(|| time(&self.job.finished_at))
    }
}

/// A report of a job with the start that it means, beside the stored job that it is folded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The stored job.
    pub known: Option<Job>,
    /// The report.
    pub new: Job,
    /// The start that is the time of receipt, if there is one.
    assumed: Option<String>,
}

impl Started {
    /// Finds the execution of a job that a report is about, if it has no start.
    ///
    /// It is the stored one, unless that has ended and the report is of one that goes on: this one starts at the time of receipt. A start
    /// that is known only so moves back to one that is reported later, and to a finish before it.
    pub fn of(known: Option<(&Job, bool)>, new: &Job, received: DateTime<Utc>) -> Self {
        let (mut stored, was_assumed) = known.map_or((None, false), |(job, assumed)| (Some(job.clone()), assumed));
        let mut new = new.clone();
        let mut assumed = stored
            .as_ref()
            .filter(|_| was_assumed)
            .and_then(|job| job.started_at.clone());
        if new.started_at.is_none() {
            let is_same = stored.as_ref().is_some_and(|job| !has_ended(job) || has_ended(&new));
            new.started_at = stored
                .as_ref()
                .filter(|_| is_same)
                .and_then(|job| job.started_at.clone());
            let begins_now = new.status == Status::Running || stored.is_some() && !is_same;
            if new.started_at.is_none() && begins_now && !has_ended(&new) {
                let now = stamp(received);
                assumed = Some(now.clone());
                new.started_at = Some(now);
            }
        }
        // Whatever the clocks here and there, it is one execution.
        let given = new.started_at.clone().filter(|start| Some(start) != assumed.as_ref());
        let earlier = given.clone().or_else(|| new.finished_at.clone());
        if let (Some(start), Some(earlier), Some(job)) = (&assumed, earlier, &mut stored)
            && job.started_at.as_ref() == Some(start)
            && time(&earlier) < time(start)
        {
            if new.started_at == assumed {
                new.started_at = Some(earlier.clone());
            }
            job.started_at = Some(earlier.clone());
            assumed = Some(earlier).filter(|_| given.is_none());
        }
        Self {
            known: stored,
            new,
            assumed,
        }
    }

    /// Returns true if the start of the fold is the time of receipt.
    pub fn is_assumed(&self, folded: &Job) -> bool {
        self.assumed.is_some() && self.assumed == folded.started_at
    }
}

fn has_ended(job: &Job) -> bool {
    job.status > Status::Running || job.finished_at.is_some()
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// Returns a time in the form of the rules: RFC 3339 in UTC, without zeros at the end of the fraction.
pub fn stamp(time: DateTime<Utc>) -> String {
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    match text.strip_suffix('Z') {
        Some(digits) if digits.contains('.') => format!("{}Z", digits.trim_end_matches('0')),
        _ => text,
    }
}
