//! `DELETE /api/runs/{reference_id}`, and `DELETE /api/runs` with a filter: removes runs with all that is stored of them.

use super::ApiState;
use super::runs::{RunsQuery, reader};
use crate::access::Access;
use crate::request::{Caller, json, refused, store_failed};
use crate::store::{MAX_PAGE, RunFilter, RunKey, RunQuery, RunSummary};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use pipefold::dx::ErrorCode;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most runs of a request: within its time. More are removed by the next one.
const MOST: usize = 5_000;

/// The answer.
#[derive(Serialize)]
struct Removed {
    ok: bool,
    removed: u64,
    /// True if runs that fit are left.
    more: bool,
}

/// Removes a run. One that the token may not see counts as unknown.
pub async fn one(
    State(state): State<Arc<ApiState>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let caller = match remover(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let unknown = || refused(ErrorCode::NotFound, "there is no such run");
    let Ok(Path(reference_id)) = path else { return unknown() };
    match state.store.find(RunKey::Reference(reference_id)).await {
        Ok(Some(run)) if caller.access.may_see(&run.pipeline) => remove(&state, &caller.access, vec![run], false).await,
        Ok(_) => unknown(),
        Err(error) => store_failed(&state.journal, error),
    }
}

/// Removes the runs that fit a filter, which may not be empty.
pub async fn list(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let caller = match remover(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match RunsQuery::parse(request.uri().query().unwrap_or_default(), state.stale_before()) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let filter = asked.filter;
    if filter == RunFilter::default() || filter.parts || filter.text.is_some() || asked.after.is_some() {
        let why = "name the runs by a filter; match=part, text and after are for reading";
        return refused(ErrorCode::InvalidArguments, why);
    }
    let mut query = RunQuery {
        filter,
        access: (*caller.access).clone(),
        after: None,
        limit: MAX_PAGE,
    };
    let mut runs = Vec::new();
    loop {
        match state.store.runs(query.clone()).await {
            Ok(page) => {
                runs.extend(page.runs);
                query.after = page.next;
            }
            Err(error) => return store_failed(&state.journal, error),
        }
        if query.after.is_none() || runs.len() >= MOST {
            break;
        }
    }
    remove(&state, &caller.access, runs, query.after.is_some()).await
}

/// Returns the sender of a request, who may read and report.
fn remover(state: &ApiState, request: &Request) -> Result<Caller, Box<Response>> {
    let caller = reader(state, request)?;
    if caller.access.writes() {
        return Ok(caller);
    }
    let why = "this token may read, and not remove: that needs the right to report, too";
    Err(Box::new(refused(ErrorCode::NoPermission, why)))
}

async fn remove(state: &ApiState, access: &Access, runs: Vec<RunSummary>, more: bool) -> Response {
    let runs: Vec<RunSummary> = runs.into_iter().filter(|run| access.may_write(&run.pipeline)).collect();
    match state.store.remove(runs.iter().map(|run| run.id).collect()).await {
        Ok(removed) => {
            let pipelines: BTreeSet<&str> = runs.iter().map(|run| run.pipeline.as_str()).collect();
            pipelines.iter().for_each(|pipeline| state.signals.announce(pipeline));
            tracing::info!("removed {removed} runs on request");
            json(
                StatusCode::OK,
                &Removed {
                    ok: true,
                    removed,
                    more,
                },
            )
        }
        Err(error) => store_failed(&state.journal, error),
    }
}
