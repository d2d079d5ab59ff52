//! The built-in policy: rules of an operator's file that drop, hash, map, rename, set, require and discard.
//!
//! - `settings`: the host's answers, which have the rules as JSON, the keys of hashes and the targets of maps.
//! - `parse`: JSON to rules, with all faults of it; `problem` has their messages.
//! - `rule`: a rule; `field`: a field of a notification; `pattern` and `template`: what a value is compared with, and rewritten to; `hash`.
//! - `edit`: the change of notifications; `policy`: the judgement by all rules.
//! - `component`: the exports of the WebAssembly component.
#![warn(missing_docs)]

mod bindings;
#[path = "../../src/blank.rs"]
mod blank;
#[cfg(target_family = "wasm")]
mod component;
mod edit;
mod field;
mod hash;
mod parse;
mod pattern;
mod policy;
mod problem;
mod rule;
mod settings;
mod template;

pub use bindings::exports::pipefold::ci::checking::Problem;
pub use bindings::pipefold::ci::types::{Attribute, Notification};
pub use policy::{Known, Outcome, Policy};
pub use settings::Settings;
