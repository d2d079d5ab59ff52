//! The routes.

use super::encode::encode;
use super::mount::mount;
use crate::request::{App, Caller, Denied, Schemes, refused};
use crate::{api, feeds, hooks, page, upsert};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::ACCEPT;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use pipefold::dx::ErrorCode;
use std::sync::Arc;

/// The routes of upserts, webhooks and the API, and `more` beside them.
pub fn router(app: &App, more: Router) -> Router {
    let router = upsert::router(app)
        .merge(hooks::router(app))
        .merge(api::router(app))
        .merge(more)
        .fallback(nowhere)
        .method_not_allowed_fallback(otherwise);
    let router = match &app.below {
        // Within another router, since the address has to be right before the route is chosen.
        Some(below) => Router::new()
            .fallback_service(router)
            .layer(from_fn_with_state(Arc::clone(below), mount)),
        None => router,
    };
    router.layer(from_fn(encode))
}

/// Adds the [`Access`](crate::access::Access) of the sender's token to requests for pages, as an extension. The pages decide what a visitor
/// without a token sees.
pub fn introduced(app: App, pages: Router) -> Router {
    pages.layer(from_fn_with_state(app, introduce))
}

async fn introduce(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let schemes = Schemes::BearerOrBasic;
    match Caller::of(
        (&app.gate, &app.journal),
        request.headers(),
        request.extensions(),
        schemes,
    ) {
        Ok(caller) => {
            request.extensions_mut().insert((*caller.access).clone());
        }
        Err(Denied::NoToken | Denied::BadToken) => {}
        Err(denied) => return denied.answer(schemes),
    }
    next.run(request).await
}

/// Adds the [`Access`](crate::access::Access) of the sender's token to requests for GoCD's feeds, which need a token that may read.
/// Refusals have GoCD's form.
pub fn guarded(app: App, feeds: Router) -> Router {
    feeds.layer(from_fn_with_state(app, guard))
}

async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let schemes = Schemes::BearerOrBasic;
    let denied = match Caller::of(
        (&app.gate, &app.journal),
        request.headers(),
        request.extensions(),
        schemes,
    ) {
        Ok(caller) if caller.access.reads() => {
            request.extensions_mut().insert((*caller.access).clone());
            return next.run(request).await;
        }
        Ok(_) => refused(ErrorCode::NoPermission, "this token may report, and not read"),
        Err(denied) => denied.answer(schemes),
    };
    feeds::restated(request.uri().path(), denied)
}

/// Answers an unknown address: a redirect where only slashes are too many, a page for a browser, else a refusal.
async fn nowhere(request: Request) -> Response {
    let uri = request.uri();
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && let Some(path) = tidied(uri.path())
    {
        let address = uri
            .query()
            .map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        return Redirect::permanent(&address).into_response();
    }
    let accept = request.headers().get(ACCEPT);
    if accept.is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html"))) {
        return page::nowhere();
    }
    refused(ErrorCode::NotFound, "there is nothing at this address")
}

/// Returns the path with single slashes and none at its end; `None` if it is so already. Several at the beginning would lead to another
/// host.
fn tidied(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let tidy = format!("/{}", segments.join("/"));
    (tidy != path).then_some(tidy)
}

async fn otherwise() -> Response {
    refused(
        ErrorCode::MethodNotAllowed,
        "this address takes other methods: see the header `Allow`",
    )
}
