//! The end of a run of which nothing is heard any more.

use super::plan::Ownership;
use crate::{
    clock,
    spool::{Entry, SpooledRun},
};
use pipefold_sandbox::{Notification, Status};
use std::collections::BTreeSet;

/// A notification that the run was cancelled, from what its others say. None if none of it is this process's to send.
///
/// It has no finish: when the run ended is not known, and DX would not take back one that is too late.
pub(super) fn abandoned(run: &SpooledRun, own: &Ownership) -> Option<Notification> {
    // What it says comes from the others' records: a process without their policies must not say it.
    if !own.has_policies_of(run) {
        return None;
    }
    let mine: Vec<&Entry> = run
        .entries
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| own.includes(entry, &BTreeSet::new()))
        .collect();
    let any =
        |field: fn(&Notification) -> &Option<String>| mine.iter().find_map(|entry| field(&entry.notification).clone());
    Some(Notification {
        pipeline_name: Some(any(|n| &n.pipeline_name)?),
        pipeline_source: Some(any(|n| &n.pipeline_source)?),
        reference_id: Some(any(|n| &n.reference_id)?),
        // The fold keeps the earliest; any of the recorded ones leaves it as it is.
        started_at: any(|n| &n.started_at).or_else(|| Some(clock::now())),
        status: Some(Status::Cancelled.as_str().to_owned()),
        ..Notification::default()
    })
}
