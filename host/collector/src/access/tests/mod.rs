//! Tokens and limits as a server uses them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod rate;
mod tokens;
