//! The pages for people: runs, failures and durations.
//!
//! They are made on the server and need no script; a small one keeps them up to date while they are open. Every reported value is hostile:
//! it is escaped where it is written (maud), and the browser may not run or load anything but ours.
//!
//! - `state`: the state that the pages share, the visitor's access, and the stream that reports changes to a browser.
//! - `pipelines`: `/` and `/pipelines`. `pipeline`: `/pipelines/{name}`, with a `chart` over a `span` of time. `trend`: pieces of both.
//! - `runs`: `/runs`, and `/` with a query. `run`: `/runs/{reference_id}`, with its `timeline`.
//! - `hooks`: `/hooks`, the sources of webhooks. `policies`: `/policies`.
//! - `layout`: the frame, the errors, the stylesheet and script, and what a browser may do with a page.
//! - `csv`: `/runs.csv`, a list of runs for spreadsheets.
//! - `forge`: the pages of commits and pull requests on other sites.
//! - `parts`, `words`, `link`: pieces, texts and addresses that several pages share.

mod chart;
mod csv;
mod forge;
mod hooks;
mod layout;
mod link;
mod parts;
mod pipeline;
mod pipelines;
mod policies;
mod run;
mod runs;
mod span;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
mod timeline;
mod trend;
mod words;

pub use forge::{Forge, ForgeError};
pub(crate) use layout::nowhere;
pub(crate) use link::run as run_page;
pub(crate) use parts::person;
pub(crate) use pipelines::Sort;
pub(crate) use span::TimeSpan;
pub use state::PageState;
pub use words::Clock;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;

/// The routes of the pages, for `GET` and `HEAD`:
/// - `/`, `/runs`, `/runs/{reference_id}`, `/pipelines`, `/pipelines/{name}`, `/hooks`, `/policies`;
/// - `/events`, the server-sent events that keep a page up to date;
/// - `/assets/…`, the stylesheet and the icon, which need no [`Access`](crate::access::Access).
///
/// The server puts the visitor's [`Access`](crate::access::Access) into the extensions of each request; without one the answer is 401,
/// which asks a browser for a token's name and the token.
pub fn router(state: PageState) -> Router {
    Router::new()
        .route("/", get(pipelines::start))
        .route("/runs", get(run::by_query))
        .route(csv::PATH, get(csv::runs))
        .route("/runs/{reference_id}", get(run::by_path))
        .route("/pipelines", get(pipelines::pipelines))
        .route("/pipelines/{name}", get(pipeline::by_path))
        .route("/hooks", get(hooks::hooks))
        .route("/policies", get(policies::policies))
        .route("/events", get(state::events))
        .route("/assets/style.css", get(layout::style))
        .route("/assets/icon.svg", get(layout::icon))
        .layer(from_fn(layout::headers))
        .with_state(state)
}
