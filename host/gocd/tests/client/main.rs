//! The client against servers that behave, and against ones that do not: all on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod network;
mod pauses;
mod redirects;
mod secrets;
mod server;
mod tls;
