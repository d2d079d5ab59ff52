//! The requests of clients.

use std::time::Instant;

use serde_json::Value;

use crate::endpoint::Endpoint;

/// One request as it arrived, with any answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Such as `POST`.
    pub method: String,
    /// The request's target: path and query.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with any chunking undone.
    pub body: Vec<u8>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// Number of the connection it came over, from 1: equal numbers mean that a connection was kept.
    pub connection: u64,
    /// The time at which it had arrived as a whole.
    pub at: Instant,
}

impl Recorded {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// True for `pipelineRuns.upsert`.
    #[must_use]
    pub fn is_run(&self) -> bool {
        Endpoint::of(&self.path) == Some(Endpoint::Runs)
    }

    /// True for `pipelineJobs.upsert`.
    #[must_use]
    pub fn is_job(&self) -> bool {
        Endpoint::of(&self.path) == Some(Endpoint::Jobs)
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
