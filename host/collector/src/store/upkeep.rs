//! Retention, and runs that never finished.

use chrono::{DateTime, Utc};

/// Which runs to remove. Their reference and their pipeline may be used again; their ids and counters are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those whose latest notification came before.
    pub before: DateTime<Utc>,
    /// Whether to keep those of which DX does not know everything: for a server that forwards.
    pub keep_waiting: bool,
}

/// Which runs that are still running, or of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleQuery {
    /// Those whose latest notification came before.
    pub before: DateTime<Utc>,
    /// Only those with a greater id: the last of the page before.
    pub after: Option<u64>,
    /// How many at most.
    pub limit: u16,
}
