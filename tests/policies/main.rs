//! Policies through the command: a notification recorded under one reaches DX only through it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../host/sandbox/tests/guests/mod.rs"]
mod guests;
#[allow(dead_code, reason = "the sandbox's own tests bend more of a guest")]
#[path = "../../host/sandbox/tests/hostile/module.rs"]
mod module;
#[path = "../../host/sandbox/tests/wasi/components.rs"]
mod wasi;

mod bound;
mod collector;
mod compiling;
mod components;
mod contract;
mod hooks;
mod hostile_policies;
mod import;
mod interleaved;
mod jobs;
mod monitor;
mod outcomes;
mod place;
mod policy_command;
mod rules_policy;
mod settings;
mod signed;
