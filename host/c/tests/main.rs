//! The C library, called by a program in C.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../sandbox/tests/guests/mod.rs"]
mod guests;
#[allow(dead_code, reason = "the sandbox's own tests bend more of a guest")]
#[path = "../../sandbox/tests/hostile/module.rs"]
mod module;

mod calls;
mod configurations;
mod edge;
mod files;
mod hostile;
mod stress;
mod support;
