//! What a timeline shows: the run and each of its steps, from when to when.

use super::clock::read;
use crate::store::{Received, RunDetail};
use chrono::{DateTime, Utc};
use pipefold_sandbox::Status;
use std::collections::HashMap;

/// Steps that are drawn: more than fits any screen, and a page of 200 KiB at most.
pub(super) const MAX_LANES: usize = 200;

/// Marks in a lane; beyond them they would touch.
const MAX_MARKS: usize = 60;

/// A run or a step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    /// The step; `None` for the run itself.
    pub(super) step: Option<String>,
    /// Of the run, what the rules say; of a step, the highest of those it reported.
    pub(super) status: Status,
    pub(super) from: DateTime<Utc>,
    /// Where it ended; `None` while nothing says so.
    pub(super) until: Option<DateTime<Utc>>,
    /// When its notifications say that they began.
    pub(super) marks: Vec<DateTime<Utc>>,
    /// Its failure is not the run's.
    pub(super) allowed_to_fail: bool,
}

/// The run itself, then its steps in the order in which they appeared.
pub(super) fn lanes(run: &RunDetail) -> Vec<Lane> {
    let summary = &run.summary;
    let mut lanes = vec![Lane {
        step: None,
        status: summary.record.status,
        from: summary.started,
        until: summary.finished,
        marks: Vec::new(),
        allowed_to_fail: false,
    }];
    let mut places: HashMap<&str, usize> = HashMap::new();
    for received in &run.received {
        let Some(step) = received.notification.step.as_deref() else {
            mark(&mut lanes[0], began(received));
            continue;
        };
        let place = *places.entry(step).or_insert(lanes.len());
        if place < lanes.len() {
            extend(&mut lanes[place], received);
        } else if place <= MAX_LANES {
            lanes.push(begin(step, received));
        }
    }
    lanes.iter_mut().skip(1).for_each(close);
    lanes
}

fn began(received: &Received) -> DateTime<Utc> {
    received
        .notification
        .started_at
        .as_deref()
        .and_then(read)
        .unwrap_or(received.arrived)
}

fn ended(received: &Received) -> Option<DateTime<Utc>> {
    received.notification.finished_at.as_deref().and_then(read)
}

fn status(received: &Received) -> Status {
    match received.notification.status.as_deref() {
        Some("running") => Status::Running,
        Some("success") => Status::Success,
        Some("cancelled") => Status::Cancelled,
        Some("failure") => Status::Failure,
        _ => Status::Unknown,
    }
}

fn begin(step: &str, received: &Received) -> Lane {
    let from = began(received);
    Lane {
        step: Some(step.to_owned()),
        status: status(received),
        from,
        until: ended(received),
        marks: vec![from],
        allowed_to_fail: received.notification.allowed_to_fail,
    }
}

fn extend(lane: &mut Lane, received: &Received) {
    let began = began(received);
    lane.status = lane.status.max(status(received));
    lane.from = lane.from.min(began);
    lane.until = lane.until.max(ended(received));
    lane.allowed_to_fail |= received.notification.allowed_to_fail;
    mark(lane, began);
}

fn mark(lane: &mut Lane, at: DateTime<Utc>) {
    if lane.marks.len() < MAX_MARKS && !lane.marks.contains(&at) {
        lane.marks.push(at);
    }
}

/// A step that says how it went, and not when, went so at its last word.
fn close(lane: &mut Lane) {
    if lane.until.is_none() && lane.status > Status::Running {
        lane.until = lane.marks.iter().max().copied();
    }
}
