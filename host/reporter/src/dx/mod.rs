//! DX's `pipelineRuns.upsert`: the only place that knows its JSON and its URL (invariant 2), as client and as server types.
//!
//! [`Client::upsert`] sends one run and returns its [`Outcome`]. [`Arguments`], [`Answer`], [`Refusal`] and [`ErrorCode`] are the same
//! exchange for a server.

mod arguments;
mod classify;
mod client;
mod senders;
mod server;
mod url;
mod wire;

pub use arguments::{ARGUMENT_NAMES, Arguments, STEP_ARGUMENT_NAMES};
pub use classify::{GIVEN_UP_AFTER, Outcome, Reply, classify};
pub use client::{Answer, Client, ClientOptions, MAX_ANSWER, Probe};
pub use senders::SYNC_PATH;
pub use server::{BodyError, ErrorCode, MAX_DEPTH, Refusal};
pub use url::{DxUrl, METHOD_PATH, UrlError};
pub use wire::{HEADERS, MAX_STEPS, StepArguments, TAKES_STEPS, Upsert, body};

pub use crate::http::{ClientError, MAX_RETRY_AFTER, ProxyOptions, USER_AGENT};
