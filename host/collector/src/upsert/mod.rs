//! `POST /api/pipelineRuns.upsert`, as DX's page describes it: a notification comes, is judged, is kept, and only then acknowledged.

mod handler;

pub use handler::upsert;
