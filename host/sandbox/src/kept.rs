//! Instances that are kept from call to call.
//!
//! Making and removing an instance takes the greater part of a call of the rules. They are part of the program and have no state: a later call
//! answers as a fresh instance would. A policy or a source gets a fresh instance for each call.

use crate::call::CallState;
use std::sync::{Mutex, PoisonError};
use wasmtime::{Store, component::Instance};

/// The most instances that wait for a call. More threads than these rarely call at one time, and an instance has its own 64 MiB of addresses.
const MOST: usize = 4;

/// The most bytes of linear memory that an instance keeps: a usual call needs 1.2 MB, one with a thousand notifications 1.8 MB, and the largest
/// history 14 MB. Memory of an instance never shrinks.
const MOST_MEMORY: u64 = 4 << 20;

/// An instance with its store.
pub struct Kept {
    pub store: Store<CallState>,
    pub instance: Instance,
}

/// The instances that wait for a call.
#[derive(Default)]
pub struct KeptInstances(Mutex<Vec<Kept>>);

impl KeptInstances {
    /// Takes the instance that was used last.
    pub fn take(&self) -> Option<Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an instance whose call returned. One that trapped is not kept.
    pub fn put(&self, kept: Kept) {
        if kept.store.data().limiter.memory() > MOST_MEMORY {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST {
            all.push(kept);
        }
    }
}
