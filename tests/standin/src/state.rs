//! The state that the server's threads share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::arguments::{JobUpsert, Upsert};
use crate::mode::Rules;
use crate::recorded::Recorded;

/// The state of one server.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The tokens that are accepted.
    pub(crate) tokens: Mutex<Vec<String>>,
    pub(crate) rules: Mutex<Rules>,
    pub(crate) requests: Mutex<Vec<Recorded>>,
    pub(crate) upserts: Mutex<Vec<Upsert>>,
    /// The accepted requests about jobs. Where both are locked, `upserts` is locked first.
    pub(crate) jobs: Mutex<Vec<JobUpsert>>,
    /// The number of requests about jobs of unknown runs.
    pub(crate) jobs_refused: AtomicUsize,
    /// Set once, at the end; slow answers look at it.
    pub(crate) stopped: AtomicBool,
}

impl State {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
