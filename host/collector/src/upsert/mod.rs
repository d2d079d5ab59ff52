//! `POST /api/pipelineRuns.upsert`, as DX's page describes it: notifications come, are judged, are kept, and only then acknowledged.
//!
//! - `handler`: the request and its answer.
//! - `dropped`: runs that a policy dropped at their start.
//! - `arguments`: reading the body, and what DX would not have understood in it.

mod arguments;
mod dropped;
mod handler;

pub(crate) use dropped::Dropped;
pub use handler::upsert;
