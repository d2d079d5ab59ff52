//! The kept runs as a GoCD server's Feeds API serves them: for programs that know GoCD, and not DX.
//!
//! Addresses are those of GoCD, below `/go`: with ids and in the old dialect as up to GoCD 20.3, with counters and in the new dialect below `/go/api/feed`
//! as since 20.1 (see [`pipefold_gocd::Dialect`]). A DX run is a run of a pipeline with one stage, named `run`, in which the run itself is
//! the first job, and each of its steps one more.
//!
//! - A run is in its pipeline's feed once it has ended well, badly or by being stopped. While it is running, or its result is unknown, its
//!   documents say so, and the feed does not have it.
//! - Times in documents are to the second, as GoCD's; jobs have them exactly, as properties (the old dialect).
//! - What the token may not see is not there: the same 404 as for what never was, on every address. GoCD's servers answered 401 or 403
//!   for a pipeline, so that its name could be guessed by trying, and showed stages and jobs to anyone by their ids.
//! - Links have the configured address of the server, or the one it listens on; never what a request calls it.
//!
//! Files: `routes`: which address leads where; `visit`: a request, and what the server is called; `instance`: a run in GoCD's terms; `lists`,
//! `documents`, `material`, `job`: the documents; `answer`: how it is said.

mod answer;
mod documents;
mod instance;
mod job;
mod lists;
mod material;
mod routes;
mod visit;

pub(crate) use routes::restated;
pub use routes::router;
pub use visit::Feeds;
pub use visit::{PublicUrl, PublicUrlError};
