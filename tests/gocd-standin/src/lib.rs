//! A stand-in for GoCD servers of several ages, for tests of what reads their feeds.
//!
//! - [`History`]: what happened on a server, invented by a seed: runs of several stages that overlap, stages run again at once and months
//!   later, stages that wait for people, cancelled ones, runs longer than a page of the feed.
//! - [`Server`]: what a real server would answer after the first so many of a history's events.
//! - [`Expected`]: what DX must end with, made from the events and not from documents, and told apart by what documents can say at all.
//! - [`GocdStandin`]: the server over HTTP, on 127.0.0.1, with faults on demand.
//! - [`Way`]: each way in which one document can fail.
//!
//! ```
//! use gocd_standin::{Generation, History, Server, Shape};
//!
//! let history = History::generate(7, &Shape::default());
//! let server = Server::new(history, Generation::Old);
//! let answer = server.answer("/go/api/pipelines.xml", &[]);
//! assert_eq!(answer.status, 200);
//! ```

// This is test code in a library's clothes: a panic is how it reports.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod expected;
mod history;
mod http;
mod server;
mod way;

pub use expected::{Expected, ExpectedJob, ExpectedStage, Reading, Wanted};
pub use history::{
    Author, Change, History, JobRun, Kind, Material, Moment, PipelineHistory, PipelineRun, Shape, StageRun,
};
pub use http::{Fault, GocdStandin, Logged, Times};
pub use pipefold_gocd::documents::StageResult;
pub use server::{Access, Answer, Generation, Server};
pub use way::Way;
