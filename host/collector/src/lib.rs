//! A DX-compatible server that stores, shows and forwards pipeline runs.
//!
//! - [`server`]: the whole of it, [`server::Collector`], and what every request passes: limits, TLS, who asks.
//! - [`upsert`]: `POST /api/pipelineRuns.upsert`, as DX's page says.
//! - [`api`]: runs as JSON for programs, with an OpenAPI document.
//! - [`page`]: runs for people, in a browser.
//! - [`feeds`]: runs as a GoCD server serves them, for programs that know GoCD.
//! - [`forward`]: every run on to DX.
//! - [`store`]: notifications as they came, and the runs that they fold into.
//! - [`access`]: tokens, and what each may write and see.
//! - [`rules`]: what is asked about the meaning of notifications.
//! - [`request`]: what every handler of a request needs.
//! - [`metrics`]: what it counts.

pub mod access;
pub mod api;
pub mod feeds;
pub mod forward;
pub mod metrics;
pub mod page;
pub mod request;
pub mod rules;
pub mod server;
pub mod store;
pub mod upsert;
