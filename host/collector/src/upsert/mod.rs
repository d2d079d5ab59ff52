//! `POST /api/pipelineRuns.upsert`, as DX's page describes it: notifications are judged, stored, and only then acknowledged.
//!
//! `body`: the bounds, the format and the arguments of the request.

mod body;

use self::body::{Bodies, Format, arguments, format, unknown};
use crate::request::{App, Caller, Gate, Journal, Schemes, Signals, json, refused, store_failed};
use crate::rules::{Admitted, Rules};
use crate::store::{Append, FoldError, Kept, Store, StoreError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::post;
use chrono::Utc;
use pipefold::dx::{ErrorCode, METHOD_PATH, SYNC_PATH};
use pipefold_sandbox::{Notification, foreign::excerpt};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The state of upserts.
pub struct Upserts {
    store: Arc<dyn Store>,
    rules: Rules,
    gate: Arc<Gate>,
    journal: Arc<Journal>,
    signals: Arc<Signals>,
    bodies: Bodies,
    dropped: DroppedRuns,
}

/// The routes of upserts.
pub(crate) fn router(app: &App) -> Router {
    let state = Upserts {
        store: Arc::clone(&app.store),
        rules: app.rules.clone(),
        gate: Arc::clone(&app.gate),
        journal: Arc::clone(&app.journal),
        signals: Arc::clone(&app.signals),
        bodies: Bodies::new(&app.limits),
        dropped: DroppedRuns::default(),
    };
    Router::new()
        .route(METHOD_PATH, post(upsert))
        .route(SYNC_PATH, post(upsert))
        .with_state(Arc::new(state))
}

/// Takes notifications of a run. The answer is DX's: `{"ok":true}` once they are on disk, else `ok` is false with a code and a message.
async fn upsert(State(state): State<Arc<Upserts>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let caller = match Caller::of(
        (&state.gate, &state.journal),
        &parts.headers,
        &parts.extensions,
        Schemes::Bearer,
    ) {
        Ok(caller) => caller,
        Err(denied) => return denied.answer(Schemes::Bearer),
    };
    let mut pipeline = None;
    let answer = match state.take(&caller, &parts, body, &mut pipeline).await {
        Ok(warnings) => return accepted(&warnings),
        Err(answer) => *answer,
    };
    tracing::info!(
        "refused a report from {}: {}{}{}",
        LoggedAddress(state.gate.address(&parts.headers, &parts.extensions)),
        answer.extensions().get::<ErrorCode>().map_or("?", |code| code.as_str()),
        Named(", token", caller.token.as_ref().map(|token| token.as_str())),
        // A policy may be there to hide names.
        Named(
            ", pipeline",
            pipeline.as_deref().filter(|_| !state.rules.has_policies())
        ),
    );
    answer
}

/// An address for the log.
struct LoggedAddress(Option<std::net::IpAddr>);

impl fmt::Display for LoggedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// A label and a name for the log, if there is one; the name stays within its quotes.
struct Named<'a>(&'static str, Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.map_or(Ok(()), |name| {
            let shown: String = name.chars().take(200).collect();
            write!(f, "{} {shown:?}", self.0)
        })
    }
}

impl Upserts {
    /// Reads, judges and stores a request. Returns the warnings for the sender of a stored upsert.
    async fn take(
        &self,
        caller: &Caller,
        parts: &Parts,
        body: Body,
        pipeline: &mut Option<String>,
    ) -> Result<Vec<String>, Box<Response>> {
        let metrics = &self.journal.metrics;
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
        let format = format(&parts.headers).map_err(counted)?;
        let body = self.bodies.read(&parts.headers, body).await.map_err(counted)?;
        // Some senders have the arguments in the address, and no body.
        let (format, body) = match parts.uri.query() {
            Some(query) if body.trim_ascii().is_empty() => (Format::Form, Bytes::copy_from_slice(query.as_bytes())),
            _ => (format, body),
        };
        let began = Instant::now();
        let notifications = match arguments(format, &body) {
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
        let notifications = self.admit(notifications)?;
        if notifications.is_empty() {
            metrics.dropped.fetch_add(1, Relaxed);
        } else {
            let append = Append {
                notifications,
                token: caller.name().to_owned(),
                access: (*caller.access).clone(),
                arrived: Utc::now(),
            };
            let appended = self.store.append(append).await;
            let appended = appended.map_err(|error| Box::new(store_failed(&self.journal, error)))?;
            metrics.accepted.fetch_add(1, Relaxed);
            metrics.took(began.elapsed());
            self.signals.announce(&appended.run.pipeline);
        }
        Ok(unknown(format, &body).into_iter().collect())
    }

    /// Judges all notifications by the policies, before any is stored. The rest is stored, and judged by the rules in the store.
    fn admit(&self, notifications: Vec<Notification>) -> Result<Vec<Kept>, Box<Response>> {
        if !self.rules.has_policies() {
            return Ok(notifications.into_iter().map(Kept::from).collect());
        }
        let ask = || {
            let mut all = Vec::with_capacity(notifications.len());
            for notification in &notifications {
                let reference_id = notification.reference_id.as_deref().unwrap_or_default();
                if self.dropped.has(reference_id) {
                    continue;
                }
                let (left, held) = match self.rules.admit(notification)? {
                    Admitted::Kept(left) => (left, false),
                    Admitted::Held(left) => (left, true),
                    Admitted::Dropped { why, whole } => {
                        tracing::debug!("a policy dropped a notification: {}", excerpt(&why));
                        if whole {
                            self.dropped.add(reference_id);
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
        admitted.map_err(|error| Box::new(store_failed(&self.journal, StoreError::from(error))))
    }
}

/// Returns `{"ok":true}` with the warnings.
fn accepted(warnings: &[String]) -> Response {
    #[derive(Serialize)]
    struct Accepted<'a> {
        ok: bool,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    }
    json(StatusCode::OK, &Accepted { ok: true, warnings })
}

/// The most runs that are remembered, some 100 bytes each: a day's of a large installation. A forgotten run is judged by itself.
const MOST: usize = 10_000;

/// The latest runs that a policy dropped at their start, whose other notifications are dropped too.
#[derive(Debug, Default)]
struct DroppedRuns(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl DroppedRuns {
    /// Remembers a run.
    fn add(&self, reference_id: &str) {
        let key = Sha256::digest(reference_id).into();
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.known.insert(key) {
            return;
        }
        latest.order.push_back(key);
        if latest.order.len() > MOST
            && let Some(oldest) = latest.order.pop_front()
        {
            latest.known.remove(&oldest);
        }
    }

    /// Returns true if a run is one of them.
    fn has(&self, reference_id: &str) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !latest.known.is_empty() && latest.known.contains(&<[u8; 32]>::from(Sha256::digest(reference_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known() {
        let dropped = DroppedRuns::default();
        assert!(!dropped.has("0"));
        for n in 0..=MOST {
            dropped.add(&n.to_string());
            dropped.add(&n.to_string());
        }
        assert!(!dropped.has("0") && dropped.has("1") && dropped.has(&MOST.to_string()));
        assert!(dropped.0.lock().is_ok_and(|latest| latest.known.len() == MOST));
    }
}
