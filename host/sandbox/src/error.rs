//! Errors of plugins, each naming the component at fault.

use crate::{
    checking::Problem,
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

/// An error of a hook, which gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The plugin refused its input; the only one of these that is about the input.
    #[error("{}", listed(.0))]
    Refused(Vec<Violation>),
    /// The call was stopped at its deadline.
    #[error("{}: {hook} was stopped after {} ms, its time limit", neutral(.plugin), .limit.as_millis())]
    TimedOut {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The call was stopped at the chain's deadline.
    #[error("{}: {hook} was stopped, as the chain of plugins had taken {} ms, its time limit", neutral(.plugin), .limit.as_millis())]
    ChainTimedOut {
        /// The role and name of the running component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The call reached a limit.
    #[error("{}: {hook} reached {limit}", neutral(.plugin))]
    Limit {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The limit.
        limit: Limit,
    },
    /// The call crashed.
    #[error("{}: {hook} crashed: {}", neutral(.plugin), shown(.trap))]
    Trap {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The trap, in wasmtime's text.
        trap: String,
    },
    /// The answer has another type than promised, or breaks a rule for every plugin.
    #[error("{}: {hook} gave a bad answer: {}", neutral(.plugin), shown(.reason))]
    BadAnswer {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The fault.
        reason: String,
    },
    /// The host lacked memory, for instance under a small `ulimit -v`, or a thread.
    #[error("{}: {hook} could not run on this machine: {reason}", neutral(.plugin))]
    Host {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the hook.
        hook: &'static str,
        /// The system's error.
        reason: String,
    },
}

/// An error of loading a plugin or starting the engine.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine did not start.
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
    /// The compiled component does not fit this engine or this machine.
    #[error("{}: it does not load: {}", neutral(.plugin), shown(.reason))]
    Code {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The fault.
        reason: String,
    },
    /// The file is larger than the limit for a component.
    #[error("{}: larger than {limit} bytes, the limit for a component", neutral(.plugin))]
    TooLarge {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file cannot be read, or has another digest than the pin.
    #[error("{}: {reason}", neutral(.plugin))]
    File {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The fault.
        reason: ComponentFileError,
    },
    /// The component cannot be compiled within the limits.
    #[error("{}: {}", neutral(.plugin), shown(&.reason.to_string()))]
    Compile {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The error.
        reason: CompileError,
    },
    /// The caller's deadline passed before it was compiled. The component has no fault.
    #[error("{}: still compiling; to have it ready ahead of builds, run `pipefold component compile{}`", neutral(.plugin), argument(.path.as_deref()))]
    Unfinished {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Its file; none for a component in this program.
        path: Option<PathBuf>,
    },
    /// An earlier compilation failed, here or in another process with the same cache.
    #[error("{}: not compiled, as that failed before: {}; to try it again, run `pipefold component compile{}`", neutral(.plugin), shown(.reason), argument(.path.as_deref()))]
    Remembered {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The error of that compilation.
        reason: String,
        /// Its file; none for a component in this program.
        path: Option<PathBuf>,
    },
    /// The component was compiled, but the code could not be stored in the cache.
    #[error("{}: {reason}", neutral(.plugin))]
    NotKept {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The error.
        reason: String,
    },
    /// The component has imports that are not granted.
    #[error("{}: {}", neutral(.plugin), shown(.imports))]
    Import {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The missing imports, and the grant that would allow each.
        imports: String,
    },
    /// The policy says that its settings are wrong.
    #[error("{}: its settings are wrong: {}", neutral(.plugin), shown(&listed_problems(.problems)))]
    Settings {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// The faults. At least one.
        problems: Vec<Problem>,
    },
    /// The policy failed while it checked its settings.
    #[error(transparent)]
    Unchecked(HookError),
    /// An export is missing, or has another type.
    #[error("{}: export {} {}; it must be made for a world of pipefold:ci@0.2.0", neutral(.plugin), shown(.export), shown(.reason))]
    Export {
        /// The role and name of the component, such as `policy redact`.
        plugin: String,
        /// Name of the export.
        export: String,
        /// The fault.
        reason: String,
    },
}

impl LoadError {
    /// The error for a component that was not compiled; the path is that of its file.
    pub(crate) fn not_compiled(plugin: String, path: Option<PathBuf>, error: CompileError) -> Self {
        match error {
            CompileError::Unfinished => Self::Unfinished { plugin, path },
            CompileError::Refused(reason) => Self::Code { plugin, reason },
            reason => Self::Compile { plugin, reason },
        }
    }

    /// Returns true if only the caller's time was too short: loading succeeds with more time.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Unfinished { .. })
    }
}

impl HookError {
    /// Returns true if the plugin refused its input, rather than failed.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// The hook and the failure, without the plugin and without values of the question, which a bad answer may quote.
    pub(crate) fn kind(&self) -> String {
        let (plugin, hook) = match self {
            Self::Refused(_) => return "it refuses the question".into(),
            Self::TimedOut { plugin, hook, .. }
            | Self::ChainTimedOut { plugin, hook, .. }
            | Self::Limit { plugin, hook, .. }
            | Self::Trap { plugin, hook, .. }
            | Self::BadAnswer { plugin, hook, .. }
            | Self::Host { plugin, hook, .. } => (plugin, hook),
        };
        if let Self::BadAnswer { .. } = self {
            return format!("{hook} gave a bad answer");
        }
        let (whole, title) = (self.to_string(), neutral(plugin));
        let kind = whole.strip_prefix(&title).and_then(|rest| rest.strip_prefix(": "));
        kind.unwrap_or(hook).to_owned()
    }

    /// Returns true if this one plugin failed: neither is its input refused, nor has the chain's time passed.
    pub(crate) fn is_the_plugins(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::ChainTimedOut { .. })
    }
}

/// Problems in one line.
fn listed_problems(problems: &[Problem]) -> String {
    let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
    problems.join("; ")
}

/// A file as an argument.
fn argument(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

/// A text that may quote a plugin, safe to show and cut: the name of an interface with an explanation takes a few hundred characters.
fn shown(text: &str) -> String {
    cut(text, 1000)
}
