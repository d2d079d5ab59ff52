//! `libpipefold`: pipefold's reporter for programs in C and in languages that call C.
//!
//! `docs/library.md` describes the interface, and `include/pipefold.h` declares it. A call takes JSON and gives JSON.
//!
//! - `abi`: the functions that the library exports, and the only unsafe code.
//! - `host`: a reporter behind a handle, and its calls.
//! - `handles`: the open reporters.
//! - `config`: a reporter made of a JSON object, or of the environment as the command makes it.
//! - `answer`: the status and the JSON of a result.
//! - `log`: the host's callback.
//! - `guard`: panics and forks.
//! - `read`: a file of `pipefold hook`.
#![warn(missing_docs)]

#[cfg(panic = "abort")]
compile_error!("a panic must not end the host: build this crate with `panic = \"unwind\"`");

mod abi;
mod answer;
mod config;
mod guard;
mod handles;
mod host;
mod log;
#[path = "../../cli/src/commands/hook/read.rs"]
mod read;

// The names that `read` has from its parent.
use pipefold::config::nearest;
use pipefold::{Attribute, Notification};
