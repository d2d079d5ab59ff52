//! The answers' JSON. The record in it has the names of DX's arguments, as everywhere.

use crate::store::{Forwarding, Page, Received, RunDetail, RunSummary};
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Notification, Run};
use serde::Serialize;

/// A page of runs.
#[derive(Serialize)]
pub(super) struct Runs<'a> {
    ok: bool,
    runs: Vec<Summary<'a>>,
    /// Where to go on; null at the end.
    next: Option<String>,
}

impl<'a> From<&'a Page> for Runs<'a> {
    fn from(page: &'a Page) -> Self {
        Self {
            ok: true,
            runs: page.runs.iter().map(Summary::from).collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

/// A run with all that is known of it.
#[derive(Serialize)]
pub(super) struct OneRun<'a> {
    ok: bool,
    run: Detail<'a>,
}

impl<'a> From<&'a RunDetail> for OneRun<'a> {
    fn from(detail: &'a RunDetail) -> Self {
        Self {
            ok: true,
            run: Detail {
                summary: Summary::from(&detail.summary),
                received: detail.received.iter().map(Event::from).collect(),
                forwarding: Forwarded::from(&detail.forwarding),
            },
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    id: u64,
    pipeline: &'a str,
    counter: u64,
    record: &'a Run,
    notifications: u32,
    first_arrived: DateTime<Utc>,
    last_arrived: DateTime<Utc>,
    waiting_since: Option<DateTime<Utc>>,
}

impl<'a> From<&'a RunSummary> for Summary<'a> {
    fn from(run: &'a RunSummary) -> Self {
        Self {
            id: run.id,
            pipeline: &run.pipeline,
            counter: run.counter,
            record: &run.record,
            notifications: run.notifications,
            first_arrived: run.first_arrived,
            last_arrived: run.last_arrived,
            waiting_since: run.waiting_since,
        }
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    received: Vec<Event<'a>>,
    forwarding: Forwarded<'a>,
}

#[derive(Serialize)]
struct Event<'a> {
    notification: &'a Notification,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
    token: &'a str,
    arrived: DateTime<Utc>,
}

impl<'a> From<&'a Received> for Event<'a> {
    fn from(received: &'a Received) -> Self {
        Self {
            notification: &received.notification,
            held: received.held,
            token: &received.token,
            arrived: received.arrived,
        }
    }
}

#[derive(Serialize)]
struct Forwarded<'a> {
    covered: u32,
    waiting_since: Option<DateTime<Utc>>,
    answer: Option<&'a crate::store::DxAnswer>,
}

impl<'a> From<&'a Forwarding> for Forwarded<'a> {
    fn from(forwarding: &'a Forwarding) -> Self {
        Self {
            covered: forwarding.covered,
            waiting_since: forwarding.waiting_since,
            answer: forwarding.answer.as_ref(),
        }
    }
}
