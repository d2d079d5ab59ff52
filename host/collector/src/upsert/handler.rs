//! One upsert.

use super::arguments;
use crate::request::{App, Caller, Kind, Schemes, address, json, kind, read, refused, store_failed};
use crate::rules::Admitted;
use crate::store::{Append, FoldError, Kept, StoreError};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::Utc;
use pipefold::dx::{ErrorCode, TAKES_STEPS};
use pipefold_sandbox::{Notification, foreign::excerpt};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Takes notifications of a run. The answer is DX's: `{"ok":true}` once they are on disk, else `ok` is false with a code and a sentence.
pub async fn upsert(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let caller = match Caller::of(&app, &parts.headers, &parts.extensions, Schemes::Bearer) {
        Ok(caller) => caller,
        Err(denied) => return denied.answer(Schemes::Bearer),
    };
    let mut pipeline = None;
    let answer = match take(&app, &caller, &parts, body, &mut pipeline).await {
        Ok(warnings) => return accepted(&warnings),
        Err(answer) => *answer,
    };
    tracing::info!(
        "refused a report from {}: {}{}{}",
        Shown(address(&app, &parts.headers, &parts.extensions)),
        answer.extensions().get::<ErrorCode>().map_or("?", |code| code.as_str()),
        Named(", token", caller.token.as_ref().map(|token| token.as_str())),
        // A policy may be there to keep names out of sight.
        Named(", pipeline", pipeline.as_deref().filter(|_| !app.rules.has_policies())),
    );
    answer
}

/// An address for the log.
struct Shown(Option<std::net::IpAddr>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// A word and a name for the log, if there is one; what it says stays within its quotes.
struct Named<'a>(&'static str, Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.map_or(Ok(()), |name| {
            let shown: String = name.chars().take(200).collect();
            write!(f, "{} {shown:?}", self.0)
        })
    }
}

/// Reads, asks and keeps. What is worth telling the sender of an upsert that was kept; or the answer that refuses it.
async fn take(
    app: &App,
    caller: &Caller,
    parts: &Parts,
    body: Body,
    pipeline: &mut Option<String>,
) -> Result<Vec<String>, Box<Response>> {
    let metrics = &app.metrics;
    if !caller.access.writes() {
        metrics.unauthorised.fetch_add(1, Relaxed);
        return Err(Box::new(refused(
            ErrorCode::InvalidAuth,
            "this token may read, and not report",
        )));
    }
    let counted = |answer: Box<Response>| {
        let counter = if answer.status().is_server_error() {
            &metrics.failed
        } else {
            &metrics.refused
        };
        counter.fetch_add(1, Relaxed);
        answer
    };
    let kind = kind(&parts.headers).map_err(counted)?;
    let body = read(app, &parts.headers, body).await.map_err(counted)?;
    // Some senders have the arguments in the address, and no body.
    let (kind, body) = match parts.uri.query() {
        Some(query) if body.trim_ascii().is_empty() => (Kind::Form, Bytes::copy_from_slice(query.as_bytes())),
        _ => (kind, body),
    };
    let began = Instant::now();
    let notifications = match arguments::read(kind, &body) {
        Ok(arguments) => arguments.into_notifications(),
        Err(why) => return Err(counted(Box::new(refused(ErrorCode::InvalidJson, why)))),
    };
    let name = |notification: &Notification| {
        let name = notification.pipeline_name.clone();
        name.filter(|name| !name.trim().is_empty())
    };
    *pipeline = notifications.first().and_then(name);
    if pipeline.as_ref().is_some_and(|name| !caller.access.may_write(name)) {
        let why = "this token may not report runs of this pipeline";
        return Err(counted(Box::new(refused(ErrorCode::NoPermission, why))));
    }
    let notifications = admit(app, notifications)?;
    if notifications.is_empty() {
        metrics.dropped.fetch_add(1, Relaxed);
    } else {
        let append = Append {
            notifications,
            token: caller.name().to_owned(),
            access: (*caller.access).clone(),
            arrived: Utc::now(),
        };
        let appended = app.store.append(append).await;
        let appended = appended.map_err(|error| Box::new(store_failed(app, error)))?;
        metrics.accepted.fetch_add(1, Relaxed);
        metrics.took(began.elapsed());
        app.announce(&appended.run.pipeline);
    }
    Ok(arguments::unknown(kind, &body).into_iter().collect())
}

/// Asks the policies about all of them, before anything is kept. What is left is to be kept, and judged by the rules in the store.
fn admit(app: &App, notifications: Vec<Notification>) -> Result<Vec<Kept>, Box<Response>> {
    if !app.rules.has_policies() {
        return Ok(notifications.into_iter().map(Kept::from).collect());
    }
    let ask = || {
        let mut all = Vec::with_capacity(notifications.len());
        for notification in &notifications {
            let reference_id = notification.reference_id.as_deref().unwrap_or_default();
            if app.dropped.has(reference_id) {
                continue;
            }
            let (left, held) = match app.rules.admit(notification)? {
                Admitted::Kept(left) => (left, false),
                Admitted::Held(left) => (left, true),
                Admitted::Dropped { why, whole } => {
                    tracing::debug!("a policy dropped a notification: {}", excerpt(&why));
                    if whole {
                        app.dropped.add(reference_id);
                    }
                    continue;
                }
            };
            all.extend(left.into_iter().map(|notification| Kept {
                notification,
                by_policies: true,
                held,
            }));
        }
        Ok(all)
    };
    let admitted: Result<_, FoldError> = tokio::task::block_in_place(ask);
    admitted.map_err(|error| Box::new(store_failed(app, StoreError::from(error))))
}

/// `{"ok":true}`, what the sender should know, and that steps are welcome.
fn accepted(warnings: &[String]) -> Response {
    #[derive(Serialize)]
    struct Accepted<'a> {
        ok: bool,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    }
    let mut answer = json(StatusCode::OK, &Accepted { ok: true, warnings });
    let (name, value) = (
        HeaderName::from_static(TAKES_STEPS.0),
        HeaderValue::from_static(TAKES_STEPS.1),
    );
    answer.headers_mut().insert(name, value);
    answer
}
