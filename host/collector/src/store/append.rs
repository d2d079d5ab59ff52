//! Notifications in, and what became of their run.

use super::run::RunSummary;
use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Notification;

/// Notifications of one run to be kept, all of them or none.
#[derive(Clone, Debug)]
pub struct Append {
    /// At least one. Each needs a `pipeline_name` and the `reference_id` of the others; that the rest is valid is for the caller to check,
    /// and for the [`Fold`](super::Fold).
    pub notifications: Vec<Kept>,
    /// Name of the token that they came with; empty where the server asks for none.
    pub token: String,
    /// What that token may write. A run belongs to the pipeline that was the first to use its `reference_id`: checked against that, in
    /// the same step in which the notifications are kept.
    pub access: Access,
    /// When they came. Clocks jump: nothing but ages is taken from it, and no order.
    pub arrived: DateTime<Utc>,
}

/// A notification as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it says: where there are policies, as they left it.
    pub notification: Notification,
    /// Whether there were policies.
    pub by_policies: bool,
    /// Whether they hold it: it is no reason to tell DX of the run.
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
