//! The server over real sockets.

mod api;
mod connections;
mod hostile;
pub(crate) mod support;
mod whole;
