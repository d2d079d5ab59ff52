//! The pages: what ran, what failed, how long it took.
//!
//! They are made on the server and need no script; a small one keeps them up to date while they are open. Every value that was reported is
//! hostile: it is escaped where it is written (maud), and the browser is told to run and load nothing that is not ours.
//!
//! - `routes`: the addresses. `state`: what the pages need from the server. `viewer`: who is looking.
//! - `runs`: `/`, with its `table`, its `pulse` and its `query`.
//! - `run`: `/runs/{reference_id}`, with its `facts`, its `timeline` of `lanes`, and the notifications `received`.
//! - `pipelines`, `pipeline`: `/pipelines` and `/pipelines/{name}`, with a `chart` over a `span` of time.
//! - `events`: telling a browser that something changed.
//! - `layout`, `parts`, `words`, `link`, `json`, `scale`, `clock`: what they share.
//! - `assets`: stylesheet, script, icon. `secure`: what a browser may do with a page.
//! - `error`: what a visitor is told when there is no page.

mod assets;
mod chart;
mod clock;
mod error;
mod events;
mod facts;
mod json;
mod lanes;
mod layout;
mod link;
mod parts;
mod pipeline;
mod pipelines;
mod pulse;
mod query;
mod received;
mod routes;
mod run;
mod runs;
mod scale;
mod secure;
mod span;
mod state;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
mod timeline;
mod viewer;
mod words;

pub use clock::Clock;
pub(crate) use error::nowhere;
pub(crate) use link::run as run_page;
pub use routes::router;
pub use state::PageState;
