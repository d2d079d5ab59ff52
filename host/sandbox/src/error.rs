//! What can go wrong with a plugin, told apart by whose fault it is.

use crate::types::Violation;
use std::{fmt, time::Duration};

/// A limit that a plugin ran into.
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
    /// Calls of the next plugin in line.
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
            Self::CoreInstances(count) => write!(f, "the limit of {count} core instances"),
        }
    }
}

/// A number of bytes, for a person to read.
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

/// Why a hook gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The plugin did its work and refused what it was given; the only one of these that is about the input.
    #[error("{}", join(.0))]
    Refused(Vec<Violation>),
    /// It was still running at its deadline, and was stopped.
    #[error("plugin {plugin}: {hook} was stopped after {} ms, its time limit", .limit.as_millis())]
    TimedOut {
        /// Name of the plugin.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It was still running when the whole chain's time was up.
    #[error("plugin {plugin}: {hook} was stopped, as the chain of plugins had taken {} ms, its time limit", .limit.as_millis())]
    ChainTimedOut {
        /// Name of the plugin that was running.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It wanted more than it may have.
    #[error("plugin {plugin}: {hook} reached {limit}")]
    Limit {
        /// Name of the plugin.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Limit,
    },
    /// It crashed.
    #[error("plugin {plugin}: {hook} crashed: {trap}")]
    Trap {
        /// Name of the plugin.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The trap, in wasmtime's words.
        trap: String,
    },
    /// Its answer is not a value of the type it promised, or breaks what no plugin may break.
    #[error("plugin {plugin}: {hook} gave a bad answer: {reason}")]
    BadAnswer {
        /// Name of the plugin.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The host could not provide what the limits allow, for instance under a small `ulimit -v`.
    #[error("plugin {plugin}: {hook} could not run, as this machine gave no memory for it: {reason}")]
    Host {
        /// Name of the plugin.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// What the system said.
        reason: String,
    },
}

/// Why a plugin, or the engine itself, could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine did not start.
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
    /// The compiled component does not fit this engine or this machine.
    #[error("plugin {plugin}: it does not load: {reason}")]
    Code {
        /// Name of the plugin.
        plugin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Its file is larger than a component may be.
    #[error("plugin {plugin}: larger than {limit} bytes, the limit for a component")]
    TooLarge {
        /// Name of the plugin.
        plugin: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It needs something that is not granted.
    #[error("plugin {plugin}: {imports}")]
    Import {
        /// Name of the plugin.
        plugin: String,
        /// The imports that are missing, and what would allow each.
        imports: String,
    },
    /// It lacks an export, or has it with another type.
    #[error("plugin {plugin}: export {export} {reason}; it must be made for a world of pipefold:ci@0.1.0")]
    Export {
        /// Name of the plugin.
        plugin: String,
        /// Name of the export.
        export: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl HookError {
    /// Whether the plugin did its work and refused its input, rather than fail.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether it is this one plugin that failed: neither its input is refused, nor is the time of the whole chain up.
    pub(crate) fn is_the_plugins(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::ChainTimedOut { .. })
    }
}

fn join(violations: &[Violation]) -> String {
    let all: Vec<String> = violations.iter().map(Violation::to_string).collect();
    all.join("; ")
}
