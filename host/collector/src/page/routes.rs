//! The addresses.

use super::state::PageState;
use super::{assets, events, pipeline, pipelines, run, runs, secure};
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;

/// The pages, for `GET` and `HEAD`:
/// - `/`, `/runs/{reference_id}`, `/pipelines`, `/pipelines/{name}`;
/// - `/events`, the server-sent events that keep a page up to date;
/// - `/assets/…`, the stylesheet and the icon, which need no [`Access`](crate::access::Access).
///
/// The server puts the visitor's [`Access`](crate::access::Access) into the extensions of each request; without one the answer is 401, which
/// asks a browser for a token's name and the token.
pub fn router(state: PageState) -> Router {
    Router::new()
        .route("/", get(runs::runs))
        .route("/runs", get(run::by_query))
        .route("/runs/{reference_id}", get(run::by_path))
        .route("/pipelines", get(pipelines::pipelines))
        .route("/pipelines/{name}", get(pipeline::by_path))
        .route("/events", get(events::events))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/icon.svg", get(assets::icon))
        .layer(from_fn(secure::headers))
        .with_state(state)
}
