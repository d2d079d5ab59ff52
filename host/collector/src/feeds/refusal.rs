//! Why there is no document.

use super::answer::{refused, restated};
use crate::server::{App, told};
use crate::store::StoreError;
use axum::http::StatusCode;
use axum::response::Response;
use pipefold_gocd::Dialect;

/// Why there is no document.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is none, or none that may be seen.
    NoSuch,
    /// The same for a pipeline.
    NoSuchPipeline,
    /// The feed's cursor is none.
    Cursor,
    /// The server does not know its own address yet.
    NotYet,
    /// The store has trouble.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    /// The answer, with the words of a server of the dialect.
    pub(super) fn answer(self, app: &App, dialect: Dialect) -> Response {
        match (self, dialect) {
            (Self::NoSuchPipeline, Dialect::Old) => refused(dialect, StatusCode::NOT_FOUND, "Pipeline not found"),
            (Self::NoSuch, Dialect::Old) => refused(dialect, StatusCode::NOT_FOUND, "Not Found!"),
            // With the name in it, as GoCD has it, this would be a way to have anything said in our name.
            (Self::NoSuchPipeline, Dialect::New) => refused(dialect, StatusCode::NOT_FOUND, "Pipeline was not found!"),
            // For an unknown stage or job GoCD has an error 500, which clients take for a reason to try again.
            (Self::NoSuch, Dialect::New) => refused(dialect, StatusCode::NOT_FOUND, "Not Found!"),
            (Self::Cursor, _) => refused(dialect, StatusCode::BAD_REQUEST, "The 'before' must be an integer."),
            (Self::NotYet, _) => refused(dialect, StatusCode::SERVICE_UNAVAILABLE, "The server is starting."),
            (Self::Store(error), _) => restated(dialect, told(app, error)),
        }
    }
}
