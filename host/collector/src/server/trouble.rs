//! What a client is told of the store's troubles.

use super::answer::{refusal, refused, retry_later};
use super::app::App;
use crate::store::StoreError;
use axum::response::Response;
use pipefold::dx::{ErrorCode, Refusal};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The answer to what the store says. What is about the request is told in full; of what is about the server only that there is something,
/// and its log has the rest: paths are nobody else's matter.
pub(crate) fn told(app: &App, error: StoreError) -> Response {
    let counter = if error.is_about_request() {
        &app.metrics.refused
    } else {
        &app.metrics.failed
    };
    counter.fetch_add(1, Relaxed);
    let later = |message: &str, seconds| retry_later(ErrorCode::Unavailable, message, Duration::from_secs(seconds));
    match error {
        StoreError::Refused(violations) => refusal(ErrorCode::of(&violations), &Refusal::of(violations)),
        StoreError::NoName(_) => refused(ErrorCode::RequiredParamsMissing, error.to_string()),
        StoreError::Foreign => refused(ErrorCode::NoPermission, error.to_string()),
        StoreError::HistoryFull { .. } => refused(ErrorCode::InvalidArguments, error.to_string()),
        StoreError::Busy => later("the server has more to do than it can take; nothing was kept", 1),
        StoreError::Closed => later("the server is stopping; nothing was kept", 5),
        StoreError::DiskFull(_) => {
            app.complain("disk full", &error);
            later("the server's disk is full; nothing was kept", 30)
        }
        StoreError::FoldFailed(_) => {
            app.complain("fold", &error);
            later(
                "the server could not judge this; nothing was kept, and its log says why",
                30,
            )
        }
        _ => {
            app.complain("store", &error);
            later(
                "the server's store has trouble; nothing was kept, and its log says why",
                30,
            )
        }
    }
}
