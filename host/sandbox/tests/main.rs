//! Tests of the sandbox's public interface: loading, caching, calls, chains, and hostile guests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cache;
mod calls;
mod chain;
mod checking;
mod compiling;
mod embed;
mod embedded;
mod engine_section;
mod guests;
mod hostile;
mod monitor;
mod place;
mod rules;
mod sources;
mod wasi;
mod worker;
