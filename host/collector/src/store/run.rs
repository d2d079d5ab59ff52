//! A run: what is appended to it, its fold, what DX knows of it, and the errors of a store.

use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::foreign::listed;
use pipefold_sandbox::{Notification, Run, Violation};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// A run as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its number in the store; in GoCD's words the id of the pipeline instance. Ids of runs, stages and jobs come from one sequence, so
    /// that an id of one kind never names something of another.
    pub id: u64,
    /// The id of its one stage.
    pub stage_id: u64,
    /// The pipeline it belongs to: the one that first used its `reference_id`. The record may name another.
    pub pipeline: String,
    /// Its number within its pipeline, from 1.
    pub counter: u64,
    /// The fold of its notifications.
    pub record: Run,
    /// `record.started_at`, to the millisecond.
    pub started: DateTime<Utc>,
    /// `record.finished_at`, to the millisecond.
    pub finished: Option<DateTime<Utc>>,
    /// Arrival of its first notification.
    pub first_arrived: DateTime<Utc>,
    /// Arrival of its latest notification.
    pub last_arrived: DateTime<Utc>,
    /// The number of its notifications.
    pub notifications: u32,
    /// Its place among the completed runs: grows with each completion, and again when the status or the finish of a completed run
    /// changes. `None` while its status is running or unknown.
    pub completion: Option<u64>,
    /// Since when DX does not know all of it; `None` when it does.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// A run and everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDetail {
    /// As in lists.
    pub summary: RunSummary,
    /// Its notifications, in the order in which they were kept.
    pub received: Vec<Received>,
    /// The job of the run itself, then one for each step, in the order in which they appeared.
    pub jobs: Vec<Job>,
    /// The part that DX has.
    pub forwarding: Forwarding,
}

/// A run as it is sent to DX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// As in lists.
    pub summary: RunSummary,
    /// The part that DX has.
    pub forwarding: Forwarding,
    /// The notifications that DX does not have, in the order in which they were kept.
    pub unsent: Vec<Received>,
    /// True if the record is the fold of all notifications. It is not where an older version kept some that do not fold.
    pub is_folded: bool,
    /// True if there were policies whenever a notification was kept.
    pub by_policies: bool,
}

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

/// A notification that was kept, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The notification: where there were policies, as they left it.
    pub notification: Notification,
    /// Whether there were policies when it was kept.
    pub by_policies: bool,
    /// Whether they hold it.
    pub held: bool,
    /// Name of the token it came with; empty where the server asked for none.
    pub token: String,
    /// Time of arrival.
    pub arrived: DateTime<Utc>,
}

/// A step of a run, under an id that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The id; from the same sequence as those of runs.
    pub id: u64,
    /// The step's name; `None` for the run itself.
    pub step: Option<String>,
}

/// A name of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RunKey {
    /// Its `reference_id`.
    Reference(String),
    /// [`RunSummary::id`].
    Id(u64),
    /// [`RunSummary::stage_id`].
    Stage(u64),
    /// The id of one of its jobs.
    Job(u64),
    /// The name of its pipeline, as it is spelt, and its counter.
    Counter(String, u64),
}

/// Notifications of one run to be kept, all of them or none.
#[derive(Clone, Debug)]
pub struct Append {
    /// At least one. Each needs a `pipeline_name` and the `reference_id` of the others; that the rest is valid is for the caller to check,
    /// and for the [`Fold`](super::Fold).
    pub notifications: Vec<Kept>,
    /// Name of the token that they came with; empty where the server asks for none.
    pub token: String,
    /// The access of that token. A run belongs to the pipeline that was the first to use its `reference_id`: checked against that, in
    /// the same step in which the notifications are kept.
    pub access: Access,
    /// Time of arrival. Clocks jump: nothing but ages is taken from it, and no order.
    pub arrived: DateTime<Utc>,
}

/// A notification as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The notification; where there are policies, as they left it.
    pub notification: Notification,
    /// Whether there were policies.
    pub by_policies: bool,
    /// Whether they hold it: it is no reason to send the run to DX.
    pub held: bool,
}

/// As it came, without policies.
impl From<Notification> for Kept {
    fn from(notification: Notification) -> Self {
        Self {
            notification,
            by_policies: false,
            held: false,
        }
    }
}

/// Notifications that were kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Their run, with them.
    pub run: RunSummary,
    /// Whether the run was unknown before.
    pub is_new: bool,
}

/// Folds notifications of one run. Must not care about their order, nor about repetition (DESIGN, section 3).
///
/// It is called from several threads, once for a usual append, with the [parts](Folded::parts) of what was folded before and the new
/// notifications. It should take microseconds, and must end.
pub type Fold = Arc<dyn Fn(&[Notification]) -> Result<Folded, FoldError> + Send + Sync>;

/// The fold of notifications of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The run.
    pub record: Run,
    /// A few notifications that stand for those that were folded: with any others they fold into the same run.
    pub parts: Vec<Notification>,
}

/// A reason why notifications did not fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The rules refuse them. The same notifications will be refused again.
    #[error("{}", listed(.0))]
    Refused(Vec<Violation>),
    /// The rules could not be asked. It may work the next time.
    #[error("{0}")]
    Failed(String),
}

/// The same fold, whose panic is a failure of one call: the thread that calls it works for others too.
pub fn contained(fold: Fold) -> Fold {
    Arc::new(move |notifications| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold(notifications)))
            .unwrap_or_else(|_| Err(FoldError::Failed("the merging code panicked".into())))
    })
}

/// A question for runs that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingQuery {
    /// Only those that come after this one: the last of the page before.
    pub after: Option<Waiting>,
    /// The most to return.
    pub limit: u16,
}

/// A run of which DX does not know everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number, [`RunSummary::id`](super::RunSummary::id).
    pub id: u64,
    /// Its name.
    pub reference_id: String,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// Its number of notifications when the question was answered.
    pub notifications: u32,
    /// Of how many of them DX knows.
    pub covered: u32,
}

/// Runs of which DX does not know everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Their number.
    pub runs: u64,
    /// Since when the first of them waits.
    pub since: Option<DateTime<Utc>>,
}

/// A note that a run was sent to DX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The run.
    pub id: u64,
    /// The number of notifications that were sent: [`Waiting::notifications`]. Later ones wait on, unless held.
    pub covered: u32,
    /// DX's answer, if there is one already. `None` leaves the one before.
    pub answer: Option<DxAnswer>,
    /// The new [`Forwarding::sent`], if it changed.
    pub sent: Option<String>,
}

/// DX's answer about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DxAnswer {
    /// Its time.
    pub at: DateTime<Utc>,
    /// Whether it took the run.
    pub accepted: bool,
    /// Its words, or ours for a success. Kept to the first 4 KiB.
    pub text: String,
    /// Whether the run was sent as cancelled because it had no activity for long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_cancelled: bool,
}

/// The part of a run that DX has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Since when it does not know everything; `None` when it does.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Of how many notifications, counted from the first, it knows.
    pub covered: u32,
    /// Its last answer.
    pub answer: Option<DxAnswer>,
    /// A digest of the record that it accepted last, which it need not be sent again.
    pub sent: Option<String>,
}

/// An error of a store. No message shows what a notification says, but for the words of the
/// rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The notification lacks what a run is kept under.
    #[error("the notification has no {0}: every notification needs a reference_id and a pipeline_name")]
    NoName(&'static str),
    /// The run belongs to a pipeline that the token may not write to.
    #[error("this reference_id belongs to a pipeline that this token may not write to: use another reference_id")]
    Foreign,
    /// The run has as many notifications, or as much text, as one may have.
    #[error(
        "this run already has {notifications} notifications with {bytes} bytes of text, and no room for more: begin a new run, with a new reference_id"
    )]
    HistoryFull {
        /// Its number of notifications.
        notifications: u32,
        /// Bytes of all their texts.
        bytes: u64,
    },
    /// The rules refuse the run with this notification.
    #[error("{}", FoldError::Refused(.0.clone()))]
    Refused(Vec<Violation>),
    /// The rules could not be asked.
    #[error("could not merge the run: {0}; nothing was kept, send it again")]
    FoldFailed(String),
    /// More is asked for than can be done.
    #[error("the store has more to do than it can take: try again in a moment")]
    Busy,
    /// The disk is full.
    #[error("the disk of {} is full: nothing was kept; make room, and it goes on by itself", .0.display())]
    DiskFull(PathBuf),
    /// Another program keeps the database locked.
    #[error("{} is locked by another program for longer than 5 seconds: nothing was kept; end that program's transaction", .0.display())]
    Locked(PathBuf),
    /// The content of the database is damaged.
    #[error("{} is damaged ({why}): keep a copy of it and of the files beside it whose names begin so, then restore a backup as examples/deploy/README.md says, or move it away to begin with an empty one", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// The file is something else.
    #[error("{} is not a database of pipefold ({why}): it was left as it is; move it away, or name another data directory", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Evidence of that.
        why: String,
    },
    /// A newer pipefold made it.
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
    /// The system refused something.
    #[error("could not {action} {}: {why}", .path.display())]
    Io {
        /// The action, such as `open`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The words of the system, or of SQLite.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed: the server is stopping")]
    Closed,
}

impl StoreError {
    /// Returns whether it is about what was asked, and not about the store: asking the same again will not help.
    #[must_use]
    pub fn is_about_request(&self) -> bool {
        matches!(
            self,
            Self::NoName(_) | Self::Foreign | Self::HistoryFull { .. } | Self::Refused(_) | Self::BackupExists(_)
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
