//! `GET /api/runs` and `GET /api/runs/{reference_id}`.

use super::query::Asked;
use super::shapes::{OneRun, Runs};
use crate::server::{App, Caller, Schemes, json, refused, told};
use crate::store::{RunKey, RunQuery};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use pipefold::dx::ErrorCode;
use std::sync::Arc;

/// Runs, newest first: those of the pipelines that the token may see.
pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let caller = match reader(&app, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match Asked::parse(request.uri().query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let query = RunQuery {
        filter: asked.filter,
        access: (*caller.access).clone(),
        after: asked.after,
        limit: asked.limit,
    };
    match app.store.runs(query).await {
        Ok(page) => json(StatusCode::OK, &Runs::from(&page)),
        Err(error) => told(&app, error),
    }
}

/// A run with its notifications. One that the token may not see is not there.
pub async fn one(State(app): State<Arc<App>>, path: Result<Path<String>, PathRejection>, request: Request) -> Response {
    let caller = match reader(&app, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let unknown = || refused(ErrorCode::NotFound, "there is no such run");
    let Ok(Path(reference_id)) = path else { return unknown() };
    match app.store.run(RunKey::Reference(reference_id)).await {
        Ok(Some(run)) if caller.access.may_see(&run.summary.pipeline) => json(StatusCode::OK, &OneRun::from(&run)),
        Ok(_) => unknown(),
        Err(error) => told(&app, error),
    }
}

fn reader(app: &App, request: &Request) -> Result<Caller, Box<Response>> {
    let schemes = Schemes::BearerOrBasic;
    let caller = Caller::of(app, request.headers(), request.extensions(), schemes);
    let caller = caller.map_err(|denied| Box::new(denied.answer(schemes)))?;
    if caller.access.reads() {
        Ok(caller)
    } else {
        Err(Box::new(refused(
            ErrorCode::NoPermission,
            "this token may report, and not read",
        )))
    }
}
