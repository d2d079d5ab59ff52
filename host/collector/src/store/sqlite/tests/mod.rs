//! The store as a server uses it, and as fate treats it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod finding;
mod jobs;
mod keeping;
mod listing;
mod opening;
mod recent;
mod support;
mod upkeep;
