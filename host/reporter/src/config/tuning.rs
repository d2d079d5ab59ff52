//! Times and sizes that can be set, and their defaults.

use std::time::Duration;

/// The default limit of a spool, in bytes: at a kilobyte each 262,144 notifications, and small beside a CI runner's disk.
pub const DEFAULT_SPOOL_LIMIT: u64 = 256 * 1024 * 1024;

/// How long delivering may hold up the command that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// For `start`, in the way of the build.
    pub start: Duration,
    /// For `finish`, and for `exec` once its command has ended.
    pub finish: Duration,
    /// After SIGTERM or SIGINT.
    pub stop: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            // A start that could not be sent goes out with the finish, so it is worth little of the build's time.
            start: Duration::from_secs(1),
            // The last chance on a runner that dies with its job; a DX that answers at all answers within this.
            finish: Duration::from_secs(5),
            // CI systems kill soon after asking; 2 s leaves room before the shortest of their delays.
            stop: Duration::from_secs(2),
        }
    }
}

/// The table `[budgets]` of a file; what is absent keeps its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetKeys {
    /// Sets [`Budgets::start`].
    pub start: Option<Duration>,
    /// Sets [`Budgets::finish`].
    pub finish: Option<Duration>,
    /// Sets [`Budgets::stop`].
    pub stop: Option<Duration>,
}

impl BudgetKeys {
    /// These, and the defaults for the rest.
    #[must_use]
    pub fn resolve(self) -> Budgets {
        let default = Budgets::default();
        Budgets {
            start: self.start.unwrap_or(default.start),
            finish: self.finish.unwrap_or(default.finish),
            stop: self.stop.unwrap_or(default.stop),
        }
    }
}

/// The table `[limits]` of a file: what a plugin may use. What is absent keeps the sandbox's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitKeys {
    /// Wall clock for one hook.
    pub hook: Option<Duration>,
    /// Wall clock for a whole chain of policies.
    pub chain: Option<Duration>,
    /// Linear memory of an instance, in bytes.
    pub memory: Option<u64>,
    /// Size of a component file, in bytes.
    pub component_size: Option<u64>,
    /// Table elements of an instance.
    pub table_elements: Option<u64>,
    /// Core instances in a component.
    pub instances: Option<u64>,
    /// What a guest may make the host copy out in one call, in bytes.
    pub hostcall_fuel: Option<u64>,
    /// The wasm stack, in bytes.
    pub stack: Option<u64>,
}
