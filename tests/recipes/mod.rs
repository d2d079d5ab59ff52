//! What the tests of the recipes stand on.
//!
//! - [`document`] reads the recipes' files, and [`fill`] replaces what a CI system replaces in them.
//! - [`Script`] is one piece of shell out of a file; [`Recipe`] is what one system runs, and when; [`systems`] has them.
//! - [`Machines`] run scripts, each on a machine of its own; [`check`] is what holds for every recipe, and [`reruns`] what DX has when a run,
//!   or a part of it, is run again.

pub mod check;
mod document;
mod machines;
mod recipe;
pub mod reruns;
pub mod systems;

pub use document::{blocks, document, files, fill};
pub use machines::Machines;
pub use recipe::{Outcome, Recipe, Script, Secrets};
