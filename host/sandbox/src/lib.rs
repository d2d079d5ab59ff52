//! Loads pipefold plugins, which are WebAssembly components, holds them to limits and calls their hooks.
//!
//! - [`Sandbox`] is an engine with a watchdog; it loads plugins.
//! - [`Plugin`] is a loaded component: three hooks and a merge, each call in a fresh instance.
//! - [`Policy`] and [`Chain`]: someone else's components in a line before a plugin, with what [`Grants`] allow them.
//! - [`Limits`] says what a call may use; [`HookError`] and [`LoadError`] say what went wrong, and whose fault it was.
//! - [`types`] is the Rust face of `wit/types.wit`.
//! - [`inspect`] tells what a component file imports and exports, without running or compiling it.

mod answer;
mod call;
mod chain;
mod embedded;
mod engine_config;
mod error;
mod grants;
pub mod inspect;
mod limiter;
mod limits;
mod plugin;
mod policy;
mod question;
mod sandbox;
pub mod types;
mod watchdog;

pub use chain::{Chain, MOST_POLICIES, OnFailure};
pub use embedded::{DEFAULT_COMPONENT_SHA256, DEFAULT_COMPONENT_SIZE, default_compiled_code};
pub use error::{HookError, Limit, LoadError};
pub use grants::{Grants, LogLevel, LogSink};
pub use limits::Limits;
pub use plugin::{Link, Plugin};
pub use policy::Policy;
pub use question::Question;
pub use sandbox::Sandbox;
pub use types::{Fault, Notification, Run, Status, Verdict, Violation};
