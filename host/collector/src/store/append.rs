//! One notification in, and what became of its run.

use super::run::RunSummary;
use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Notification;

/// A notification to be kept.
#[derive(Clone, Debug)]
pub struct Append {
    /// As it came. It needs a `pipeline_name` and a `reference_id`; that the rest is valid is for the caller to check, and for the
    /// [`Fold`](super::Fold).
    pub notification: Notification,
    /// Name of the token that it came with; empty where the server asks for none.
    pub token: String,
    /// What that token may write. A run belongs to the pipeline that was the first to use its `reference_id`: checked against that, in
    /// the same step in which the notification is kept.
    pub access: Access,
    /// When it came. Clocks jump: nothing but ages is taken from it, and no order.
    pub arrived: DateTime<Utc>,
}

/// A notification that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its run, with it.
    pub run: RunSummary,
    /// Whether the run was unknown before.
    pub is_new: bool,
}
