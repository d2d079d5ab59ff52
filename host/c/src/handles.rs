//! The open reporters, by handle.
//!
//! A handle is a number in the form of a pointer, and is never followed: one that is wrong, or was closed, is an error and not a crash.

use crate::host::Host;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

static OPEN: RwLock<BTreeMap<usize, Arc<Host>>> = RwLock::new(BTreeMap::new());

/// Handles look like pointers to what needs the usual alignment.
const STEP: usize = 16;

/// The number of the next handle: above the first page, where no valid pointer is.
static NEXT: AtomicUsize = AtomicUsize::new(4096);

/// Adds a reporter, and returns its handle.
pub fn add(host: Host) -> usize {
    let handle = NEXT.fetch_add(STEP, Relaxed);
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.insert(handle, Arc::new(host));
    handle
}

/// The reporter of a handle, if it is open. It lives at least as long as the value.
pub fn get(handle: usize) -> Option<Arc<Host>> {
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    open.get(&handle).cloned()
}

/// Closes a handle; the last call that uses its reporter ends it.
pub fn remove(handle: usize) -> Option<Arc<Host>> {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.remove(&handle)
}
