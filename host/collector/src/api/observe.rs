//! Whether the server works, what it counted, and the description of the API.

use super::ApiState;
use crate::access::Access;
use crate::request::{Caller, Schemes, json, refused, store_failed};
use crate::store::{RunFilter, RunQuery};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use pipefold::dx::{Answer, ErrorCode};
use pipefold::prometheus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longer than any question takes that works at all, shorter than what asks for health waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: whether the store answers. For everyone, as what asks has no token: it says no more than that.
pub async fn health(State(state): State<Arc<ApiState>>) -> Response {
    let question = state.store.runs(RunQuery {
        filter: RunFilter::default(),
        access: Access::everything(),
        after: None,
        limit: 1,
    });
    match timeout(PATIENCE, question).await {
        Ok(Ok(_)) => json(StatusCode::OK, &Answer::accepted()),
        Ok(Err(error)) => store_failed(&state.journal, error),
        Err(_) => refused(ErrorCode::Unavailable, "the store does not answer"),
    }
}

/// For how long an answer of [`ready`] holds: anyone may ask, and each look writes to the disk.
const READY_FOR: Duration = Duration::from_secs(2);

/// `GET /readyz`: whether reports can be kept, which a full disk prevents. For everyone, as [`health`].
pub async fn ready(State(state): State<Arc<ApiState>>) -> Response {
    let mut looked = state.looked.lock().await;
    let ready = match *looked {
        Some((at, ready)) if at.elapsed() < READY_FOR => ready,
        _ => {
            let ready = match timeout(PATIENCE, state.store.ready()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    state.journal.complain("ready", &error);
                    false
                }
                Err(_) => false,
            };
            *looked = Some((Instant::now(), ready));
            ready
        }
    };
    if ready {
        json(StatusCode::OK, &Answer::accepted())
    } else {
        refused(
            ErrorCode::Unavailable,
            "reports cannot be kept now; the server's log says why",
        )
    }
}

/// `GET /metrics`: counters in Prometheus' text format, for tokens that may read.
pub async fn metrics(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    match Caller::of(
        (&state.gate, &state.journal),
        request.headers(),
        request.extensions(),
        Schemes::BearerOrBasic,
    ) {
        Ok(caller) if caller.access.reads() => {
            let forwarding = if state.forwards {
                match state.store.backlog().await {
                    Ok(backlog) => Some((backlog, Utc::now())),
                    Err(error) => return store_failed(&state.journal, error),
                }
            } else {
                None
            };
            let kind = HeaderValue::from_static(prometheus::CONTENT_TYPE);
            ([(CONTENT_TYPE, kind)], state.journal.metrics.text(forwarding)).into_response()
        }
        Ok(_) => refused(ErrorCode::NoPermission, "this token may report, and not read"),
        Err(denied) => denied.answer(Schemes::BearerOrBasic),
    }
}

/// Kept by hand; a test compares it with what the server answers.
const DOCUMENT: &str = include_str!("openapi.json");

/// The OpenAPI document. It says nothing of what is kept, and is for everyone.
pub async fn document() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff")],
        DOCUMENT,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| match value {
                Value::String(text) if key == "$ref" => found.push(text),
                value => references(value, found),
            }),
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn it_is_of_this_version_and_its_references_lead_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            assert!(
                document.pointer(reference.strip_prefix('#').unwrap()).is_some(),
                "{reference}"
            );
        }
    }
}
