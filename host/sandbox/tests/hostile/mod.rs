//! Guests that each do one bad thing, and the exact error of each.
//!
//! Every guest runs in a process of its own ([`isolated`]): so its memory can be measured, and one that takes the whole process down is
//! named. After the bad call the default plugin must answer in the same sandbox.

mod answers;
mod asking;
mod files;
mod image;
mod inner;
mod isolated;
mod lies;
mod memory;
pub mod module;
mod mutated;
mod policies;
mod reallocs;
mod refusals;
mod sources;
mod time;
mod traps;
