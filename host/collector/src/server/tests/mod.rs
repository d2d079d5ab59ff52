//! The server over real sockets.

mod api;
mod connections;
mod hostile;
mod jobs;
pub(crate) mod support;
mod whole;
