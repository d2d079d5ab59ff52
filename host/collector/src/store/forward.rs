//! What DX was not told yet.
//!
//! Notifications of a run are numbered in the order in which they were kept, so one number says how much DX knows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Which runs that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingQuery {
    /// Only those that come after this one: the last of the page before.
    pub after: Option<Waiting>,
    /// How many at most.
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
    /// How many notifications it had when the question was answered.
    pub notifications: u32,
    /// Of how many of them DX knows.
    pub covered: u32,
}

/// Runs of which DX does not know everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub runs: u64,
    /// Since when the first of them waits.
    pub since: Option<DateTime<Utc>>,
}

/// That DX was told of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The run.
    pub id: u64,
    /// How many notifications what was sent was folded from: [`Waiting::notifications`]. What came later waits on, unless it is held.
    pub covered: u32,
    /// What DX said, if it said something already. `None` leaves what it said before.
    pub answer: Option<DxAnswer>,
    /// What [`Forwarding::sent`] is to be, if that changed.
    pub sent: Option<String>,
}

/// What DX said to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DxAnswer {
    /// When.
    pub at: DateTime<Utc>,
    /// Whether it took the run.
    pub accepted: bool,
    /// Its words, or ours for a success. Kept to the first 4 KiB.
    pub text: String,
    /// Whether it was told that the run was cancelled, though nobody said so: nothing was heard of it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_cancelled: bool,
}

/// What DX knows of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Since when it does not know everything; `None` when it does.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Of how many notifications, counted from the first, it knows.
    pub covered: u32,
    /// What it said last.
    pub answer: Option<DxAnswer>,
    /// A digest of the record that it accepted last, which it need not be sent again.
    pub sent: Option<String>,
}
