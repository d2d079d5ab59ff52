//! A run as a list shows it, and with everything that is known of it.

use super::forward::Forwarding;
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Notification, Run};

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
    /// Which run of its pipeline it is, from 1.
    pub counter: u64,
    /// What its notifications fold into.
    pub record: Run,
    /// `record.started_at`, to the millisecond.
    pub started: DateTime<Utc>,
    /// `record.finished_at`, to the millisecond.
    pub finished: Option<DateTime<Utc>>,
    /// When its first notification came.
    pub first_arrived: DateTime<Utc>,
    /// When its latest notification came.
    pub last_arrived: DateTime<Utc>,
    /// How many notifications there are.
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
    /// What DX was told.
    pub forwarding: Forwarding,
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
    /// When it came.
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

/// What names a run.
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
