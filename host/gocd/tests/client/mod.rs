//! The client against servers that behave, and against ones that do not: all on real sockets.

mod answers;
mod network;
mod pauses;
mod redirects;
mod secrets;
mod server;
mod tls;
