//! `GET /api/hooks`: the sources of webhooks, and what became of their last deliveries.

use super::ApiState;
use super::runs::reader;
use crate::hooks::Seen;
use crate::request::json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct Sources<'a> {
    ok: bool,
    sources: Vec<SourceJson<'a>>,
}

#[derive(Serialize)]
struct SourceJson<'a> {
    name: &'a str,
    path: String,
    translation: &'a str,
    scheme: &'static str,
    /// Numbers of deliveries since the server's start, by outcome.
    counts: BTreeMap<&'static str, u64>,
    deliveries: Vec<Seen>,
}

/// Answers with the sources, by name. A token for some pipelines sees the deliveries about their runs.
pub async fn list(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let sources = state.hooks.all().iter().map(|hook| SourceJson {
        name: hook.name.as_str(),
        path: hook.name.path(),
        translation: &hook.translation,
        scheme: hook.scheme().name(),
        counts: hook.counters.now().into(),
        deliveries: hook.recent.seen_by(&caller.access),
    });
    let sources = sources.collect();
    json(StatusCode::OK, &Sources { ok: true, sources })
}
