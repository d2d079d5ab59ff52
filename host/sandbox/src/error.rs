//! What can go wrong with a plugin, told apart by whose fault it is.

use crate::{
    compile::CompileError,
    component_file::ComponentFileError,
    foreign::{cut, listed, neutral},
    limits::Limit,
    types::Violation,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a hook gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The plugin did its work and refused what it was given; the only one of these that is about the input.
    #[error("{}", listed(.0))]
    Refused(Vec<Violation>),
    /// It was still running at its deadline, and was stopped.
    #[error("{}: {hook} was stopped after {} ms, its time limit", neutral(.plugin), .limit.as_millis())]
    TimedOut {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It was still running when the whole chain's time was up.
    #[error("{}: {hook} was stopped, as the chain of plugins had taken {} ms, its time limit", neutral(.plugin), .limit.as_millis())]
    ChainTimedOut {
        /// Which one was running, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It wanted more than it may have.
    #[error("{}: {hook} reached {limit}", neutral(.plugin))]
    Limit {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Limit,
    },
    /// It crashed.
    #[error("{}: {hook} crashed: {}", neutral(.plugin), words(.trap))]
    Trap {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The trap, in wasmtime's words.
        trap: String,
    },
    /// Its answer is not a value of the type it promised, or breaks what no plugin may break.
    #[error("{}: {hook} gave a bad answer: {}", neutral(.plugin), words(.reason))]
    BadAnswer {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The host could not provide what it takes: no memory, for instance under a small `ulimit -v`, or no thread.
    #[error("{}: {hook} could not run on this machine: {reason}", neutral(.plugin))]
    Host {
        /// Which one, such as `policy redact`.
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
    #[error("{}: it does not load: {}", neutral(.plugin), words(.reason))]
    Code {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Its file is larger than a component may be.
    #[error("{}: larger than {limit} bytes, the limit for a component", neutral(.plugin))]
    TooLarge {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its file cannot be read, or is not the one that is pinned.
    #[error("{}: {reason}", neutral(.plugin))]
    File {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// What is wrong with it.
        reason: ComponentFileError,
    },
    /// It cannot be compiled within the limits.
    #[error("{}: {}", neutral(.plugin), words(&.reason.to_string()))]
    Compile {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// What went wrong.
        reason: CompileError,
    },
    /// The caller's deadline passed before it was compiled. Nothing is wrong with it.
    #[error("{}: still compiling; to have it ready ahead of builds, run `pipefold component compile{}`", neutral(.plugin), argument(.path.as_deref()))]
    Unfinished {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Its file; none for the default component.
        path: Option<PathBuf>,
    },
    /// It could not be compiled before, here or in another process with the same cache.
    #[error("{}: not compiled, as that failed before: {}; to try it again, run `pipefold component compile{}`", neutral(.plugin), words(.reason), argument(.path.as_deref()))]
    Remembered {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// What went wrong then.
        reason: String,
        /// Its file; none for the default component.
        path: Option<PathBuf>,
    },
    /// It was compiled, and could not be kept in the cache.
    #[error("{}: {reason}", neutral(.plugin))]
    NotKept {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// What went wrong.
        reason: String,
    },
    /// It needs something that is not granted.
    #[error("{}: {}", neutral(.plugin), words(.imports))]
    Import {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// The imports that are missing, and what would allow each.
        imports: String,
    },
    /// It lacks an export, or has it with another type.
    #[error("{}: export {} {}; it must be made for a world of pipefold:ci@0.1.0", neutral(.plugin), words(.export), words(.reason))]
    Export {
        /// Which one, such as `policy redact`.
        plugin: String,
        /// Name of the export.
        export: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LoadError {
    /// Whether only the time of the caller was too short: it loads when it is tried again with more.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Unfinished { .. })
    }
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

/// A file as an argument.
fn argument(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

/// Words that may quote a plugin's own, cut where the name of an interface with an explanation ends: that takes a few hundred characters.
fn words(text: &str) -> String {
    cut(text, 1000)
}
