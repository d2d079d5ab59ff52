//! The limits of a call, and the limiter that enforces those of memory.
//!
//! A refused growth reaches the guest as an ordinary failure, which the guest may hide or turn into any trap, and wasmtime exports no type
//! for it: the limiter's record is what lets an error name the limit.

use serde::Serialize;
use std::{fmt, time::Duration};
use wasmtime::ResourceLimiter;

/// The limits of one plugin in one call. Nothing adds up from call to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Size of a component's file in bytes. Guests made from Python come to about 20 MB.
    pub component_size: u64,
    /// Linear memory in bytes, all memories of an instance together.
    pub memory: usize,
    /// Elements of all tables of an instance together.
    pub table_elements: usize,
    /// Core instances in a component; a guest made from Python has 11 or more.
    pub core_instances: usize,
    /// Wall-clock time of one hook, without the time of the next plugin.
    pub hook: Duration,
    /// Wall-clock time of a whole chain of plugins.
    pub chain: Duration,
    /// Bytes that a guest may make the host copy out in one call. A list of a million strings over the same bytes is small in the guest
    /// and huge in the host; the largest history that the rules allow fits.
    pub copied_out: usize,
    /// Bytes of native stack that one call may use. A chain of plugins adds up on one thread, so it is small; a guest made from Python
    /// needs about a third of it. At most 1 MiB.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_size: 32 << 20,
            memory: 64 << 20,
            table_elements: 20_000,
            core_instances: 100,
            hook: Duration::from_millis(250),
            chain: Duration::from_secs(1),
            copied_out: 32 << 20,
            stack: 512 << 10,
        }
    }
}

#[cfg(feature = "sources")]
impl Limits {
    /// The limits of a source. A vendor's largest delivery is GitHub's, of 25 MiB.
    ///
    /// Memory: that of policies, which the engine reserves for each memory: one that grows beyond it is moved, and takes twice its size
    /// meanwhile. The built-in sources hold the body once, and need 27 MiB for the largest delivery.
    ///
    /// Time: vendors wait 10 seconds for an answer (GitHub, GitLab), in which the notifications are also judged and stored. The built-in
    /// sources take 0.1 s for the largest delivery, and up to 1 s for one made to be slow.
    #[must_use]
    pub fn of_sources() -> Self {
        Self {
            hook: Duration::from_secs(4),
            ..Self::default()
        }
    }
}

/// A limit that a plugin reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Linear memory, in bytes.
    Memory(usize),
    /// Table elements.
    TableElements(usize),
    /// Bytes copied out to the host.
    CopiedOut(usize),
    /// The native stack of a call, in bytes.
    Stack(usize),
    /// Core instances in a component.
    CoreInstances(usize),
    /// Resource handles held at one time.
    Handles(usize),
    /// Calls of the next plugin.
    NextCalls(u32),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "the memory limit of {}", Size(*bytes)),
            Self::TableElements(count) => write!(f, "the limit of {count} table elements"),
            Self::CopiedOut(bytes) => write!(
                f,
                "the limit of {} that may be handed to the host in one call",
                Size(*bytes)
            ),
            Self::Stack(bytes) => write!(f, "the stack limit of {}", Size(*bytes)),
            Self::NextCalls(count) => write!(f, "the limit of {count} calls of the next plugin"),
            Self::Handles(count) => write!(f, "the limit of {count} resource handles"),
            Self::CoreInstances(count) => write!(f, "the limit of {count} core instances"),
        }
    }
}

/// A number of bytes, displayed in the largest unit that fits.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// The limiter of one store.
#[derive(Clone, Debug)]
pub struct Limiter {
    memory: usize,
    memory_left: usize,
    table_elements: usize,
    table_elements_left: usize,
    core_instances: usize,
    hit: Option<Limit>,
    host_failed: bool,
}

impl Limiter {
    pub fn new(limits: &Limits) -> Self {
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

    /// The first limit that was reached, if any.
    pub fn hit(&self) -> Option<Limit> {
        self.hit
    }

    /// The linear memory that the instance has, in bytes. It never shrinks.
    pub fn memory(&self) -> u64 {
        (self.memory - self.memory_left) as u64
    }

    /// Returns true if the host could not provide memory that the limits allow.
    pub fn host_failed(&self) -> bool {
        self.host_failed
    }

    fn refuse(&mut self, limit: Limit) -> bool {
        self.hit.get_or_insert(limit);
        false
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Past the guest's own maximum the guest fails, not the limit.
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
