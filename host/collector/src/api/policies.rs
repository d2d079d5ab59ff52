//! `GET /api/policies`: the policies, their counters, and what monitored ones would have done.

use super::ApiState;
use super::runs::reader;
use crate::policies::Policy;
use crate::request::json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Policies {
    ok: bool,
    policies: Vec<Policy>,
}

/// Answers with the policies, outermost first. A token for some pipelines sees no observations.
pub async fn list(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let policies = state.policies.seen_by(&caller.access);
    json(StatusCode::OK, &Policies { ok: true, policies })
}
