//! Counts what an instance allocates, refuses what is over the limit, and remembers that it did.
//!
//! A refused growth reaches the guest as an ordinary failure, which it may hide or turn into any trap, and wasmtime does not export a
//! type for it: the record kept here is what lets an error name the limit.

use crate::{error::Limit, limits::Limits};
use wasmtime::ResourceLimiter;

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    memory_left: usize,
    table_elements: usize,
    table_elements_left: usize,
    core_instances: usize,
    hit: Option<Limit>,
    host_failed: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: limits.memory,
            memory_left: limits.memory,
            table_elements: limits.table_elements,
            table_elements_left: limits.table_elements,
            core_instances: limits.core_instances,
            hit: None,
            host_failed: false,
        }
    }

    /// The first limit that was hit, if any was.
    pub(crate) fn hit(&self) -> Option<Limit> {
        self.hit
    }

    /// Whether the host itself could not provide memory that the limits allow.
    pub(crate) fn host_failed(&self) -> bool {
        self.host_failed
    }

    fn refuse(&mut self, limit: Limit) -> bool {
        self.hit.get_or_insert(limit);
        false
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Past the guest's own maximum it is the guest that fails, not the limit.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match self.memory_left.checked_sub(desired.saturating_sub(current)) {
            Some(left) => {
                self.memory_left = left;
                Ok(true)
            }
            None => Ok(self.refuse(Limit::Memory(self.memory))),
        }
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.host_failed = self.hit.is_none();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match self.table_elements_left.checked_sub(desired.saturating_sub(current)) {
            Some(left) => {
                self.table_elements_left = left;
                Ok(true)
            }
            None => Ok(self.refuse(Limit::TableElements(self.table_elements))),
        }
    }

    fn instances(&self) -> usize {
        self.core_instances
    }

    fn tables(&self) -> usize {
        self.core_instances
    }

    fn memories(&self) -> usize {
        self.core_instances
    }
}
