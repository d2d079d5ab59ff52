//! Whether the server works, and what it counted.

use crate::access::Access;
use crate::server::{App, Caller, Schemes, json, refused, told};
use crate::store::{RunFilter, RunQuery};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use pipefold::dx::{Answer, ErrorCode};
use pipefold::prometheus;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than any question takes that works at all, shorter than what asks for health waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: whether the store answers. For everyone, as what asks has no token: it says no more than that.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let question = app.store.runs(RunQuery {
        filter: RunFilter::default(),
        access: Access::everything(),
        after: None,
        limit: 1,
    });
    match timeout(PATIENCE, question).await {
        Ok(Ok(_)) => json(StatusCode::OK, &Answer::accepted()),
        Ok(Err(error)) => told(&app, error),
        Err(_) => refused(ErrorCode::Unavailable, "the store does not answer"),
    }
}

/// `GET /metrics`: counters in Prometheus' text format, for tokens that may read.
pub async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response {
    match Caller::of(&app, request.headers(), request.extensions(), Schemes::BearerOrBasic) {
        Ok(caller) if caller.access.reads() => {
            let kind = HeaderValue::from_static(prometheus::CONTENT_TYPE);
            ([(CONTENT_TYPE, kind)], app.metrics.text(app.forwards)).into_response()
        }
        Ok(_) => refused(ErrorCode::NoPermission, "this token may report, and not read"),
        Err(denied) => denied.answer(Schemes::BearerOrBasic),
    }
}
