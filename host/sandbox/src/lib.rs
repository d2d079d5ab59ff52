//! Loads pipefold plugins, which are WebAssembly components, holds them to limits and calls their hooks.
//!
//! - [`Sandbox`] is an engine with a watchdog; it loads plugins.
//! - [`Plugin`] is a loaded component: three hooks and a merge, each call in a fresh instance.
//! - [`Policy`] and [`Chain`]: an operator's components in front of a plugin, with access as [`Grants`] allow.
//! - [`ComponentFile`], [`Cache`] and [`Compiler`]: the file of a policy, its compiled code, and the compiler.
//! - With the feature `sources`, `Source`: a component that makes notifications of webhook deliveries.
//! - [`embed`] puts the built-in components' compiled code into an executable; others take it from a [`Cache`], or compile it.
//! - [`Limits`] bounds a call; [`HookError`] and [`LoadError`] name a fault and the component that has it.
//! - [`types`] is the Rust face of `wit/types.wit`.
//! - [`inspect`] lists the imports and exports of a component file, without running or compiling it.

mod answer;
mod built_in_policy;
mod builtin;
mod cache;
mod call;
mod chain;
mod chain_digest;
mod chain_threads;
mod changes;
mod checking;
mod compile;
mod compiled;
mod component_file;
mod default_component;
mod embed;
mod engine;
mod engine_config;
mod error;
mod fit;
pub mod foreign;
mod grants;
pub mod inspect;
mod kept;
mod limits;
mod link;
mod loading;
mod monitor;
mod outline;
mod plugin;
mod policy;
mod question;
mod sandbox;
mod signature;
mod slot;
#[cfg(feature = "sources")]
mod source;
mod tally;
mod trace;
pub mod types;
mod verify;

pub use answer::Answered;
pub use built_in_policy::built_in_policy_is_embedded;
#[cfg(feature = "sources")]
pub use builtin::SOURCES_SHA256;
pub use builtin::{BUILT_IN_POLICY_SHA256, DEFAULT_COMPONENT_SHA256, DEFAULT_COMPONENT_SIZE};
pub use cache::{Cache, CacheError};
pub use chain::{Chain, MOST_POLICIES};
pub use chain_digest::{ChainDigest, ChainDigestError};
pub use checking::Problem;
pub use compile::{ChildCompiler, CompileError, Compiler, Deadline, compile_worker};
pub use component_file::{ComponentBytes, ComponentFile, ComponentFileError, Verified};
pub use default_component::{LoadedDefault, default_is_embedded};
pub use embed::{EmbedError, EmbeddedCode, default_code_for, embed};
pub use engine_config::leave_signals_alone;
pub use error::{HookError, LoadError};
pub use fit::{Fit, Role};
pub use grants::{Access, Directory, DirectoryError, Grants, LogLevel, LogSink, Wasi};
pub use limits::{Limit, Limits};
pub use link::Link;
pub use loading::Precompiled;
pub use monitor::{Monitored, Observation};
pub use plugin::Plugin;
pub use policy::{Mode, OnFailure, Policy, PolicyComponent};
pub use question::{OwnedQuestion, Question};
pub use sandbox::{LoadedPolicy, Sandbox};
pub use signature::{KeyId, KeyPlace, MinisignKey, SignatureError, Signed};
#[cfg(feature = "sources")]
pub use source::{LoadedSource, Source, SourceSpec, TranslateError};
pub use tally::{Counts, Outcome, Tally};
pub use trace::{Explained, Visit};
pub use types::{
    Attribute, Delivery, Fault, Header, Job, Notification, Report, Run, Setting, Status, Translation, Verdict,
    Violation,
};
