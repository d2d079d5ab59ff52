//! `pipefold serve`: the collector as a process, its feeds, and outside clients of both.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../host/sandbox/tests/guests/mod.rs"]
mod guests;
#[allow(dead_code, reason = "the sandbox's own tests bend more of a guest")]
#[path = "../../host/sandbox/tests/hostile/module.rs"]
mod module;

mod clients;
mod deploy;
mod faults;
mod feeds;
mod forward;
mod github_schemas;
mod hooks;
mod hostile;
mod jobs;
mod kill;
mod one_record;
mod page_example;
mod senders;
mod source_command;
mod stale;
mod stopping;
mod tokens;
