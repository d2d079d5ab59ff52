//! `GET /api/runs` and `GET /api/runs/{reference_id}`, and the JSON of the answers. The record in it has the names of the arguments of DX.

use super::query::Asked;
use crate::request::{App, Caller, Schemes, json, refused, store_failed};
use crate::store::{Forwarding, Page, Received, RunDetail, RunKey, RunQuery, RunSummary};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use pipefold::dx::ErrorCode;
use pipefold_sandbox::{Notification, Run};
use serde::Serialize;
use std::sync::Arc;

/// Runs, newest first: those of the pipelines that the token may see.
pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let caller = match reader(&app, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match Asked::parse(request.uri().query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let query = RunQuery {
        filter: asked.filter,
        access: (*caller.access).clone(),
        after: asked.after,
        limit: asked.limit,
    };
    match app.store.runs(query).await {
        Ok(page) => json(StatusCode::OK, &Runs::from(&page)),
        Err(error) => store_failed(&app, error),
    }
}

/// A run with its notifications. One that the token may not see is not there.
pub async fn one(State(app): State<Arc<App>>, path: Result<Path<String>, PathRejection>, request: Request) -> Response {
    let caller = match reader(&app, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let unknown = || refused(ErrorCode::NotFound, "there is no such run");
    let Ok(Path(reference_id)) = path else { return unknown() };
    match app.store.run(RunKey::Reference(reference_id)).await {
        Ok(Some(run)) if caller.access.may_see(&run.summary.pipeline) => json(StatusCode::OK, &OneRun::from(&run)),
        Ok(_) => unknown(),
        Err(error) => store_failed(&app, error),
    }
}

fn reader(app: &App, request: &Request) -> Result<Caller, Box<Response>> {
    let schemes = Schemes::BearerOrBasic;
    let caller = Caller::of(app, request.headers(), request.extensions(), schemes);
    let caller = caller.map_err(|denied| Box::new(denied.answer(schemes)))?;
    if caller.access.reads() {
        Ok(caller)
    } else {
        Err(Box::new(refused(
            ErrorCode::NoPermission,
            "this token may report, and not read",
        )))
    }
}

/// A page of runs.
#[derive(Serialize)]
pub struct Runs<'a> {
    ok: bool,
    runs: Vec<Summary<'a>>,
    /// Cursor of the next page; null at the end.
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
struct OneRun<'a> {
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
