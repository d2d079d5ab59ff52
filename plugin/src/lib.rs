//! The default pipefold plugin: it validates notifications, folds them into one run, and decides what is sent.
//!
//! It is pure: data in, data out, no clock, no randomness, no state between calls. Built for `wasm32-unknown-unknown` it is a component
//! of the world `plugin` in `wit/worlds.wit` that imports no function; built natively the same four functions can be called directly:
//!
//! ```
//! use pipefold_plugin::{Notification, Status, merge};
//!
//! let begun = Notification {
//!     pipeline_name: Some("integration_tests".into()),
//!     pipeline_source: Some("Tekton".into()),
//!     reference_id: Some("AA713E04".into()),
//!     started_at: Some("2025-01-01T12:05:00".into()),
//!     status: Some("running".into()),
//!     ..Notification::default()
//! };
//! let ended = Notification {
//!     finished_at: Some("2025-01-01T12:10:00".into()),
//!     status: Some("success".into()),
//!     ..begun.clone()
//! };
//!
//! let run = merge(&[ended, begun]).map_err(|violations| format!("{violations:?}"))?.run;
//! assert_eq!(run.status, Status::Success);
//! assert_eq!(run.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
//! # Ok::<(), String>(())
//! ```
//!
//! - `timestamp`: ISO 8601 in, RFC 3339 in UTC out.
//! - `field`: the names of the fields in DX's spelling, and limits.
//! - `finding`: faults, and their messages.
//! - `blank`: text that shows nothing, and counts as absent.
//! - `validate`: checks of one [`Notification`].
//! - `merge`: the fold of checked notifications into a [`Run`] and its jobs.
//! - `history`: all notifications of a run, held to the limits and folded.
//! - `verdict`: the hooks.
//! - `words`: comparison of text by eight bytes at a time.
//! - `component`: the exports of the WebAssembly component.

mod bindings;
mod blank;
#[cfg(all(target_family = "wasm", feature = "component"))]
mod component;
mod field;
mod finding;
mod history;
mod limits;
mod merge;
mod timestamp;
mod validate;
mod verdict;
mod words;

pub use bindings::exports::pipefold::ci::types::{
    Attribute, Fault, Job, Notification, Report, Run, Status, Verdict, Violation,
};
pub use limits::{MAX_ATTRIBUTES, MAX_FIELD_BYTES, MAX_HISTORY_BYTES, MAX_HISTORY_NOTIFICATIONS};
pub use verdict::{merge, pipeline_finish, pipeline_start, step};
