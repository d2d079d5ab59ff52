//! A small HTTP server that stands in for DX in tests, demonstrations and measurements.
//!
//! It follows DX's pages for `pipelineRuns.upsert` and `pipelineJobs.upsert`: bearer token, JSON (or a form), the pages' error codes, one
//! record a run, folded by the page's rule, and its jobs, each as the last request about it. The folds of pipefold's contract are written
//! here independently of pipefold's own, so that tests can compare the two: see [`fold()`] and [`jobs()`].
//! On demand it misbehaves, in all the ways a server on the far side of a proxy can: see [`Mode`].
//!
//! ```
//! use dx_standin::{Mode, Standin, Times};
//!
//! let dx = Standin::start();
//! dx.misbehave(Mode::InternalError, Times::Next(2));
//! println!("post to {} with the token {}", dx.url(), dx.token());
//! assert!(dx.records().is_empty());
//! ```
//!
//! It listens on 127.0.0.1 only, at a port of the system's choice, and stops when dropped.

mod answer;
mod arguments;
mod connection;
mod dx;
mod endpoint;
mod fold;
pub mod http;
mod job;
mod mode;
pub mod page;
mod recorded;
mod server;
mod socket;
mod state;
mod tls;
mod wait;

pub use endpoint::Endpoint;
pub use fold::{Record, fold};
pub use job::{Job, jobs};
pub use mode::{Mode, RetryAfter, Times};
pub use recorded::Recorded;
pub use server::{DEFAULT_TOKEN, Options, Standin};
pub use socket::{Socket, lock};
pub use tls::NAME;
pub use wait::until;
