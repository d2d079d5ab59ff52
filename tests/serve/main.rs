//! `pipefold serve`: the collector as a process, its feeds, and outside clients of both.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clients;
mod deploy;
mod faults;
mod feeds;
mod forward;
mod hostile;
mod jobs;
mod kill;
mod page_example;
mod senders;
mod stale;
mod stopping;
