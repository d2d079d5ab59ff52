//! The store as a server uses it, and as fate treats it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod feeds;
mod forwarding;
mod full;
mod keeping;
mod kill;
mod listing;
mod long;
mod opening;
mod order;
mod support;
mod upkeep;
