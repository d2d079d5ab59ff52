//! What a plugin may use.

use serde::Serialize;
use std::time::Duration;

/// What one plugin may use in one call. Every call gets a fresh instance, so nothing adds up from call to call.
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
    /// Wall-clock time of one hook, without what the next plugin in line takes.
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
