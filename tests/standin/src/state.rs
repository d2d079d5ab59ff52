//! What the server's threads share.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    connections: Mutex<HashMap<u64, TcpStream>>,
    last_connection: AtomicU64,
}

impl State {
    /// Enters a connection, so that it can be cut, and numbers it.
    pub(crate) fn enter(&self, stream: &TcpStream) -> u64 {
        let number = self.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(handle) = stream.try_clone() {
            lock(&self.connections).insert(number, handle);
        }
        number
    }

    /// Forgets a connection that has ended.
    pub(crate) fn leave(&self, connection: u64) {
        lock(&self.connections).remove(&connection);
    }

    /// Cuts all open connections, which ends their threads.
    pub(crate) fn cut_connections(&self) {
        for (_, stream) in lock(&self.connections).drain() {
            // It may be closed already, which is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Locks, even after a panic elsewhere: what is behind these locks is whole at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
