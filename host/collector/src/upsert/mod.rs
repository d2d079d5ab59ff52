//! `POST /api/pipelineRuns.upsert`, as DX's page describes it: notifications come, are judged, are kept, and only then acknowledged.
//!
//! - `handler`: the request and its answer.
//! - `arguments`: reading the body, and what DX would not have understood in it.

mod arguments;
mod handler;

pub use handler::upsert;
