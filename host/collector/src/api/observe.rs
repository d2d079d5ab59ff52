//! The health and metrics of the server, and the description of the API.

use super::ApiState;
use crate::request::{Caller, Schemes, json, refused, store_failed};
use crate::store::RunKey;
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

/// The longest wait for the store: longer than any working query takes, shorter than health checks wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: answers whether the store works. No token is needed, since health checks have none: the answer has no other data.
pub async fn health(State(state): State<Arc<ApiState>>) -> Response {
    // No run has this id: the answer costs the search for it.
    let question = state.store.find(RunKey::Id(0));
    match timeout(PATIENCE, question).await {
        Ok(Ok(_)) => json(StatusCode::OK, &Answer::accepted()),
        Ok(Err(error)) => store_failed(&state.journal, error),
        Err(_) => refused(ErrorCode::Unavailable, "the store does not answer"),
    }
}

/// The time for which an answer of [`ready`] holds: anyone may call it, and each check writes to the disk.
const READY_FOR: Duration = Duration::from_secs(2);

/// `GET /readyz`: answers whether reports can be stored, which a full disk prevents. No token is needed, as for [`health`].
pub async fn ready(State(state): State<Arc<ApiState>>) -> Response {
    let mut checked = state.checked.lock().await;
    let ready = match *checked {
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
            *checked = Some((Instant::now(), ready));
            ready
        }
    };
    if ready {
        json(StatusCode::OK, &Answer::accepted())
    } else {
        refused(
            ErrorCode::Unavailable,
            "reports cannot be kept now; see the server's log",
        )
    }
}

/// `GET /metrics`: answers with the counters in Prometheus' text format, for tokens that may read.
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
            let mut page = prometheus::Page::default();
            state.journal.metrics.write(&mut page, forwarding);
            state.hooks.write(&mut page);
            state.policies.write(&mut page);
            ([(CONTENT_TYPE, kind)], page.into_text()).into_response()
        }
        Ok(_) => refused(ErrorCode::NoPermission, "this token may report, and not read"),
        Err(denied) => denied.answer(Schemes::BearerOrBasic),
    }
}

/// The document is written by hand; a test compares it with the server's answers.
const DOCUMENT: &str = include_str!("openapi.json");

/// Answers with the OpenAPI document. It has no stored data, so no token is needed.
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
