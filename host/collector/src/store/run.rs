//! A run: what is appended to it, its fold, what DX knows of it, and the errors of a store.

use super::job::{KeptJob, NewJob};
use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::foreign::listed;
use pipefold_sandbox::{Job, Notification, Report, Run, Violation};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// A run as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// The run's id in the store; in GoCD's terms the id of the pipeline instance. Ids of runs, stages and jobs come from one sequence, so
    /// that an id of one kind never names something of another.
    pub id: u64,
    /// The id of its one stage.
    pub stage_id: u64,
    /// The pipeline it belongs to: the one that first used its `reference_id`. The record may name another.
    pub pipeline: String,
    /// The run's number within its pipeline, from 1.
    pub counter: u64,
    /// The fold of its notifications.
    pub record: Run,
    /// `record.started_at`, to the millisecond.
    pub started: DateTime<Utc>,
    /// `record.finished_at`, to the millisecond.
    pub finished: Option<DateTime<Utc>>,
    /// The arrival of its first notification.
    pub first_arrived: DateTime<Utc>,
    /// The arrival of its latest notification.
    pub last_arrived: DateTime<Utc>,
    /// The number of its notifications.
    pub notifications: u32,
    /// The run's place among the completed runs: grows with each completion, and again when the status or the finish of a completed run
    /// changes. `None` while its status is running or unknown.
    pub completion: Option<u64>,
    /// The time since which DX does not have all of it; `None` if it has.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// A run with all its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDetail {
    /// As in lists.
    pub summary: RunSummary,
    /// The notifications, in the order in which they were stored.
    pub received: Vec<Received>,
    /// The id of the job that is the run itself, in GoCD's terms.
    pub own_job: u64,
    /// Its jobs, in the order in which they appeared.
    pub jobs: Vec<KeptJob>,
    /// The part that DX has.
    pub forwarding: Forwarding,
    /// The references of the runs of its pipeline before and after it, by their counter.
    pub beside: (Option<String>, Option<String>),
}

impl RunDetail {
    /// Returns the jobs in the order of their start; those without a time at the end.
    #[must_use]
    pub fn jobs_by_start(&self) -> Vec<&KeptJob> {
        let mut jobs: Vec<&KeptJob> = self.jobs.iter().collect();
        jobs.sort_by_key(|kept| (kept.began().is_none(), kept.began(), kept.id));
        jobs
    }
}

/// A run as it is sent to DX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// As in lists.
    pub summary: RunSummary,
    /// The part that DX has.
    pub forwarding: Forwarding,
    /// The notifications that DX does not have, in the order in which they were stored.
    pub unsent: Vec<Received>,
    /// True if the record is the fold of all notifications. It is not if an older version stored some that do not fold.
    pub is_folded: bool,
    /// True if there were policies whenever a notification was stored.
    pub by_policies: bool,
    /// Jobs that DX does not have: at most [`JOBS_AT_ONCE`], those that DX refused last at the end.
    pub jobs: Vec<KeptJob>,
}

/// The jobs that are sent of a run before the next run has its turn: at the usual pace a few seconds.
pub const JOBS_AT_ONCE: usize = 20;

impl Outgoing {
    /// Returns true if the record may be sent as it is, to a server that has policies or has none.
    #[must_use]
    pub fn is_judged(&self, has_policies: bool) -> bool {
        self.is_folded && (self.by_policies || !has_policies)
    }

    /// Returns true if a notification that DX does not have is a reason to send the run.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.unsent.iter().any(|received| !received.held)
    }
}

/// A stored notification, and how it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The notification: if there were policies, as they left it.
    pub notification: Notification,
    /// True if there were policies when it was stored.
    pub by_policies: bool,
    /// True if the policies hold it.
    pub held: bool,
    /// The name of the token it came with; empty if the server needed none.
    pub token: String,
    /// The time of arrival.
    pub arrived: DateTime<Utc>,
}

/// The key of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RunKey {
    /// The run's `reference_id`.
    Reference(String),
    /// [`RunSummary::id`].
    Id(u64),
    /// [`RunSummary::stage_id`].
    Stage(u64),
    /// The id of one of its jobs.
    Job(u64),
    /// The name of its pipeline, case-sensitive, and its counter.
    Counter(String, u64),
}

/// Notifications and jobs of one run to be stored, all of them or none.
#[derive(Clone, Debug)]
pub struct Append {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// The run's source as the sender of a job names it, which must be the stored run's; `None` where that is no question.
    pub source: Option<String>,
    /// At least one, unless the run is known. Each needs a `pipeline_name` and the run's `reference_id`, and is of no step. The caller and
    /// the [`Fold`](super::Fold) check the rest.
    pub notifications: Vec<Kept>,
    /// The jobs.
    pub jobs: Vec<NewJob>,
    /// The name of the token that they came with; empty if the server needs none.
    pub token: String,
    /// The access of that token. A run belongs to the pipeline that was the first to use its `reference_id`: the access is checked against
    /// that, in the step that stores the notifications.
    pub access: Access,
    /// The time of arrival. Clocks jump: only ages are computed from it, and no order.
    pub arrived: DateTime<Utc>,
}

/// A notification as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The notification; if there are policies, as they left it.
    pub notification: Notification,
    /// True if there were policies.
    pub by_policies: bool,
    /// True if the policies hold it: it is no reason to send the run to DX.
    pub held: bool,
}

/// A notification as it came, without policies.
impl From<Notification> for Kept {
    fn from(notification: Notification) -> Self {
        Self {
            notification,
            by_policies: false,
            held: false,
        }
    }
}

/// The result of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The run, with the new notifications.
    pub run: RunSummary,
    /// True if the run was unknown before.
    pub is_new: bool,
}

/// The fold of notifications of one run. It must not depend on their order, nor on repetition.
///
/// It is called from several threads, once for a usual append, with the record of the earlier notifications, which stands for all of them,
/// and the new ones. It should take microseconds, and must end.
pub type Fold = Arc<dyn Fn(&[Notification]) -> Result<Report, FoldError> + Send + Sync>;

/// The reason why notifications did not fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The rules refuse them. The same notifications will be refused again.
    #[error("{}", listed(.0))]
    Refused(Vec<Violation>),
    /// The rules could not be asked. It may work the next time.
    #[error("{0}")]
    Failed(String),
}

/// Returns the fold with panics as failures of one call: its thread works for other requests too.
pub fn contained(fold: Fold) -> Fold {
    Arc::new(move |notifications| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold(notifications)))
            .unwrap_or_else(|_| Err(FoldError::Failed("the merging code panicked".into())))
    })
}

/// A query for runs that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingQuery {
    /// Only those after this one: the last of the page before.
    pub after: Option<Waiting>,
    /// The most to return.
    pub limit: u16,
}

/// A run that DX does not have completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The run's [`RunSummary::id`](super::RunSummary::id).
    pub id: u64,
    /// The run's `reference_id`.
    pub reference_id: String,
    /// The start of its wait.
    pub since: DateTime<Utc>,
    /// The number of its notifications at the query.
    pub notifications: u32,
    /// The number of them that DX has.
    pub covered: u32,
}

/// The runs that DX does not have completely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Their number.
    pub runs: u64,
    /// The start of the longest wait.
    pub since: Option<DateTime<Utc>>,
}

/// A record that a run was sent to DX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The run.
    pub id: u64,
    /// The number of notifications that were sent: [`Waiting::notifications`]. Later ones wait on, unless held.
    pub covered: u32,
    /// DX's answer, if there is one. `None` keeps the one before.
    pub answer: Option<DxAnswer>,
    /// The new [`Forwarding::sent`], if it changed.
    pub sent: Option<String>,
}

/// A record that a job was sent to DX, or is not to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobForwarded {
    /// The job.
    pub id: u64,
    /// The state that was sent. A later one waits on.
    pub job: Job,
    /// The outcome.
    pub outcome: JobOutcome,
}

/// The outcome of sending a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// DX answered for good; the new [`KeptJob::sent`].
    Answered(String),
    /// It is not to be sent.
    Left,
    /// DX refused it at this time, and it is tried again.
    Refused(DateTime<Utc>),
}

/// DX's answer about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DxAnswer {
    /// The time of the answer.
    pub at: DateTime<Utc>,
    /// True if DX accepted the run.
    pub accepted: bool,
    /// DX's text, or ours for a success. Cut to the first 4 KiB.
    pub text: String,
    /// True if the run was sent as cancelled because it had no activity for long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_cancelled: bool,
}

/// The part of a run that DX has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// The time since which DX does not have everything; `None` if it has.
    pub waiting_since: Option<DateTime<Utc>>,
    /// The number of notifications, from the first, that DX has.
    pub covered: u32,
    /// DX's last answer.
    pub answer: Option<DxAnswer>,
    /// A digest of the record that DX accepted last, which need not be sent again.
    pub sent: Option<String>,
}

/// An error of a store. No message has text of a notification, except messages of the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The notification lacks a field that a run is stored under.
    #[error("the notification has no {0}: every notification needs a reference_id and a pipeline_name")]
    NoName(&'static str),
    /// The run belongs to a pipeline that the token may not write to.
    #[error("this reference_id belongs to a pipeline that this token may not write to: use another reference_id")]
    Foreign,
    /// The run has as many notifications, or as much text, as it may have.
    #[error(
        "this run already has {notifications} notifications with {bytes} bytes of text, and no room for more: start a new run, with a new reference_id"
    )]
    HistoryFull {
        /// The number of its notifications.
        notifications: u32,
        /// Bytes of all their texts.
        bytes: u64,
    },
    /// There is no run that a job could be of.
    #[error(
        "no run has this run_reference_id and pipeline_source: send pipelineRuns.upsert for it first, then its jobs"
    )]
    NoRun,
    /// The run has as many jobs, or as much text of jobs, as it may have.
    #[error(
        "this run already has {jobs} jobs with {bytes} bytes of text, and no room for more: update these, or start a new run"
    )]
    JobsFull {
        /// The number of its jobs.
        jobs: u32,
        /// Bytes of their texts.
        bytes: u64,
    },
    /// The rules refuse the run with this notification.
    #[error("{}", FoldError::Refused(.0.clone()))]
    Refused(Vec<Violation>),
    /// The rules could not be asked.
    #[error("could not merge the run: {0}; nothing was kept, send it again")]
    FoldFailed(String),
    /// The store is overloaded.
    #[error("the store is overloaded: retry in a moment")]
    Busy,
    /// The disk is full.
    #[error("the disk of {} is full: nothing was kept; make room, and it recovers by itself", .0.display())]
    DiskFull(PathBuf),
    /// Another program keeps the database locked.
    #[error("{} is locked by another program for longer than 5 seconds: nothing was kept; end that program's transaction", .0.display())]
    Locked(PathBuf),
    /// The content of the database is damaged.
    #[error("{} is damaged ({why}): keep a copy of it and of the files beside it whose names start with its name, then restore a backup as examples/deploy/README.md says, or move it away to start with an empty one", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        why: String,
    },
    /// The file is not a database of pipefold.
    #[error("{} is not a database of pipefold ({why}): it was left as it is; move it away, or name another data directory", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The evidence.
        why: String,
    },
    /// A newer pipefold wrote it.
    #[error("{} was written by a newer pipefold (its schema is {found}, this one knows up to {known}): it was left as it is; use that version, or another data directory", .path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// The version of its schema.
        found: u32,
        /// The latest version that is known here.
        known: u32,
    },
    /// Another server uses the data directory.
    #[error("another server uses {}: stop it, or name another data directory", .0.display())]
    InUse(PathBuf),
    /// The data directory is not safe to use.
    #[error("the data directory {} {why}", .path.display())]
    Place {
        /// The directory.
        path: PathBuf,
        /// The fault, and its remedy.
        why: String,
    },
    /// The backup's file is there already.
    #[error("{} exists already: name a new file for the backup", .0.display())]
    BackupExists(PathBuf),
    /// The system refused an action.
    #[error("could not {action} {}: {why}", .path.display())]
    Io {
        /// The action, such as `open`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system, or of SQLite.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed: the server is stopping")]
    Closed,
}

impl StoreError {
    /// Returns true if the error concerns the request and not the store: the same request will fail again.
    #[must_use]
    pub fn is_about_request(&self) -> bool {
        matches!(
            self,
            Self::NoName(_)
                | Self::Foreign
                | Self::HistoryFull { .. }
                | Self::NoRun
                | Self::JobsFull { .. }
                | Self::Refused(_)
                | Self::BackupExists(_)
        )
    }
}

impl From<FoldError> for StoreError {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Refused(violations) => Self::Refused(violations),
            FoldError::Failed(why) => Self::FoldFailed(why),
        }
    }
}
