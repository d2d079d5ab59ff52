//! Loads pipefold plugins, which are WebAssembly components, holds them to limits and calls their hooks.
//!
//! - [`Sandbox`] is an engine with a watchdog; it loads plugins.
//! - [`Plugin`] is a loaded component: three hooks and a merge, each call in a fresh instance.
//! - [`Policy`] and [`Chain`]: someone else's components in a line before a plugin, with what [`Grants`] allow them.
//! - [`ComponentFile`], [`Cache`] and [`Compiler`]: where a policy comes from, and how it is compiled once.
//! - [`embed`] puts the default component's compiled code into an executable; others take it from a [`Cache`], or compile it.
//! - [`Limits`] says what a call may use; [`HookError`] and [`LoadError`] say what went wrong, and whose fault it was.
//! - [`types`] is the Rust face of `wit/types.wit`.
//! - [`inspect`] tells what a component file imports and exports, without running or compiling it.

mod answer;
mod asking;
mod cache;
mod call;
mod chain;
mod compile;
mod compiled;
mod component_file;
mod deadline;
mod default_component;
mod detached;
mod digest;
mod embed;
mod engine_config;
mod error;
mod fit;
pub mod foreign;
mod grants;
pub mod inspect;
mod limiter;
mod limits;
mod load;
mod loading;
mod outline;
mod plugin;
mod policy;
mod question;
mod sandbox;
mod seen;
mod slot;
pub mod types;
mod watchdog;

pub use cache::{Cache, CacheError};
pub use chain::{Chain, MOST_POLICIES, OnFailure};
pub use compile::{ChildCompiler, CompileError, Compiler, compile_worker};
pub use component_file::{ComponentBytes, ComponentFile, ComponentFileError};
pub use deadline::Deadline;
pub use default_component::{DEFAULT_COMPONENT_SHA256, DEFAULT_COMPONENT_SIZE, LoadedDefault, default_is_embedded};
pub use digest::{ChainDigest, ChainDigestError};
pub use embed::{EmbedError, EmbeddedCode, default_code_for, embed};
pub use error::{HookError, Limit, LoadError};
pub use fit::{Fit, Role};
pub use grants::{Access, Directory, DirectoryError, Grants, LogLevel, LogSink, Wasi};
pub use limits::Limits;
pub use load::{Loaded, Precompiled};
pub use plugin::{Link, Plugin};
pub use policy::Policy;
pub use question::Question;
pub use sandbox::Sandbox;
pub use seen::Answered;
pub use types::{Fault, Notification, Run, Status, Verdict, Violation};
