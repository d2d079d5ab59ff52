//! Answers in JSON, each of which has `ok`, and the answers to the store's errors.

use super::app::Journal;
use crate::store::StoreError;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Response as HttpResponse, StatusCode};
use axum::response::Response;
use pipefold::dx::{ErrorCode, Refusal};
use pipefold::foreign;
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Returns an answer with a JSON body. It must not be cached, as it depends on the caller and the time.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Texts, numbers and lists under fixed names can always be written as JSON.
    let body = serde_json::to_string(body).unwrap_or_else(|_| r#"{"ok":false,"error":"internal_error"}"#.to_owned());
    // A client may show it in a CI log.
    let body = foreign::json(&body);
    let mut answer = HttpResponse::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Returns a refusal with a message.
pub(crate) fn refused(code: ErrorCode, message: impl Into<String>) -> Response {
    refusal(code, &Refusal::new(code, message))
}

/// Returns a refusal. Its code is an extension of the answer too, for the log.
fn refusal(code: ErrorCode, refusal: &Refusal) -> Response {
    let mut answer = json(status(code), refusal);
    answer.extensions_mut().insert(code);
    answer
}

/// Returns a refusal with the time after which a retry may succeed.
pub(crate) fn retry_later(code: ErrorCode, message: &str, wait: Duration) -> Response {
    // Whole seconds, rounded up, so that a retry is not refused again.
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    let mut answer = refused(code, format!("{message}: retry in {seconds} s"));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// Returns the HTTP status of a code.
fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns the answer to an error of the store, and counts it.
pub(crate) fn store_failed(journal: &Journal, error: StoreError) -> Response {
    let counter = if error.is_about_request() {
        &journal.metrics.refused
    } else {
        &journal.metrics.failed
    };
    counter.fetch_add(1, Relaxed);
    store_error(journal, error)
}

/// Returns the answer to an error of the store. An error of the request is shown in full. Of an error of the server the client learns only
/// that there is one; paths are in the log alone.
pub(crate) fn store_error(journal: &Journal, error: StoreError) -> Response {
    let later = |message: &str, seconds| retry_later(ErrorCode::Unavailable, message, Duration::from_secs(seconds));
    match error {
        StoreError::Refused(violations) => refusal(ErrorCode::of(&violations), &Refusal::of(violations)),
        StoreError::NoName(_) => refused(ErrorCode::RequiredParamsMissing, error.to_string()),
        StoreError::NoRun => refused(ErrorCode::RunNotFound, error.to_string()),
        StoreError::JobsFull { .. } => refused(ErrorCode::InvalidArguments, error.to_string()),
        StoreError::Foreign => refused(ErrorCode::NoPermission, error.to_string()),
        StoreError::HistoryFull { .. } => refused(ErrorCode::InvalidArguments, error.to_string()),
        StoreError::Busy => later("the server is overloaded; nothing was kept", 1),
        StoreError::Closed => later("the server is stopping; nothing was kept", 5),
        StoreError::DiskFull(_) => {
            journal.complain("disk full", &error);
            later("the server's disk is full; nothing was kept", 30)
        }
        StoreError::FoldFailed(_) => {
            journal.complain("fold", &error);
            later("the server could not judge this; nothing was kept, see its log", 30)
        }
        _ => {
            journal.complain("store", &error);
            later("the server's store failed; nothing was kept, see its log", 30)
        }
    }
}
