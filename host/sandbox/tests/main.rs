//! The sandbox from outside: loading, caching, calling, chains, and guests that mean harm.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cache;
mod calls;
mod chain;
mod compiling;
mod embed;
mod embedded;
mod engine_section;
mod guests;
mod hostile;
mod place;
mod wasi;
mod worker;
