//! What is kept, as a GoCD server's Feeds API tells it: for programs that know GoCD, and not DX.
//!
//! Addresses are those of GoCD, below `/go`: with ids and in the old dialect as up to GoCD 20.3, with counters and in the new dialect below `/go/api/feed`
//! as since 20.1 (see [`pipefold_gocd::Dialect`]). A DX run is a run of a pipeline with one stage, named `run`, in which the run itself is
//! the first job, and each of its steps one more.
//!
//! - A run is in its pipeline's feed once it has ended well, badly or by being stopped. While it is running, or nobody knows how it went, its
//!   documents say so, and the feed does not have it.
//! - Times in documents are to the second, as GoCD's; jobs have them exactly, as properties (the old dialect).
//! - What the token may not see is not there: the same 404 as for what never was, on every address. GoCD's servers answered 401 or 403
//!   for a pipeline, so that its name could be guessed by trying, and told anyone about stages and jobs by their ids.
//! - Links have the configured address of the server, or the one it listens on; never what a request calls it.
//!
//! Files: `routes`: which address is what; `visit`: who asks, and what there is for them; `instance`: a run in GoCD's terms; `cursor`: pages of
//! the feed; `pipelines`, `feed`, `pipeline`, `material`, `stage`, `job`, `job_name`: the documents; `pages`: what links for people lead to;
//! `about`: what clients ask for the server's version; `site`, `public_url`: what the server is called; `answer`, `refusal`: how it is said.

mod about;
mod answer;
mod cursor;
mod feed;
mod instance;
mod job;
mod job_name;
mod material;
mod pages;
mod pipeline;
mod pipelines;
mod public_url;
mod refusal;
mod routes;
mod site;
mod stage;
mod visit;

pub use public_url::{PublicUrl, PublicUrlError};
pub(crate) use routes::restated;
pub use routes::router;
pub use site::Feeds;
