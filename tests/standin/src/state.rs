//! The state that the server's threads share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::arguments::Upsert;
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
    /// Set once, at the end; slow answers look at it.
    pub(crate) stopped: AtomicBool,
}

impl State {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
