//! The pages: what ran, what failed, how long it took.
//!
//! They are made on the server and need no script; a small one keeps them up to date while they are open. Every value that was reported is
//! hostile: it is escaped where it is written (maud), and the browser is told to run and load nothing that is not ours.
//!
//! - `state`: what the pages need from the server, who is looking, and which address leads where.
//! - `runs`: `/`, with its `query`. `run`: `/runs/{reference_id}`, with its `timeline`.
//! - `pipelines`, `pipeline`: `/pipelines` and `/pipelines/{name}`, with a `chart` over a `span` of time.
//! - `events`: telling a browser that something changed.
//! - `layout`, `parts`, `link`, `words`: what they share. `assets`: stylesheet, script, icon, and what a browser may do with a page.

mod assets;
mod chart;
mod events;
mod layout;
mod link;
mod parts;
mod pipeline;
mod pipelines;
mod query;
mod run;
mod runs;
mod span;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
mod timeline;
mod words;

pub(crate) use layout::nowhere;
pub(crate) use link::run as run_page;
pub use state::PageState;
pub use state::router;
pub use words::Clock;
