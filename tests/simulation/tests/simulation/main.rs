//! A small simulation, and the files of `examples/fleet` against the schemas of their formats.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod manifests;
mod small;
