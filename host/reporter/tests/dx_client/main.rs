//! The DX client against a server that behaves, and against one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod network;
mod proxies;
mod support;
mod tls;
