//! DX's `pipelineRuns.upsert` and `pipelineJobs.upsert`: the only place that knows their JSON and URLs (invariant 2), as client and as
//! server types.
//!
//! [`Client::upsert`] sends one run and [`Client::upsert_job`] one of its jobs; both return the [`Outcome`]. [`Arguments`], [`JobArguments`],
//! [`Answer`], [`Refusal`] and [`ErrorCode`] are the same exchange for a server.

mod arguments;
mod classify;
mod client;
mod jobs;
mod senders;
mod server;
mod url;
mod wire;

pub use arguments::{ARGUMENT_NAMES, Arguments};
pub use classify::{GIVEN_UP_AFTER, Outcome, Reply, classify};
pub use client::{Answer, Client, ClientOptions, MAX_ANSWER, Probe};
pub use jobs::{JOB_ARGUMENT_NAMES, JOB_METHOD_PATH, JobArguments, JobUpsert, classify_job, job_body};
pub use senders::SYNC_PATH;
pub use server::{BodyError, ErrorCode, MAX_DEPTH, Refusal, from_foreign_json, from_form};
pub use url::{DxUrl, METHOD_PATH, UrlError};
pub use wire::{HEADERS, Upsert, body};

pub use crate::http::{ClientError, MAX_RETRY_AFTER, ProxyOptions, USER_AGENT};
