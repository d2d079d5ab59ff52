//! The HTTP server: who may connect, what a peer may take, which address leads where.
//!
//! - `collector`: everything put together, and the work beside it. `error`: why it does not begin.
//! - `listen`: the socket, and the end. `connection`: one connection. `tls`: what is between it and the socket.
//! - `rooms`: how many connections there are, and from where. `router`: which address leads where.

mod collector;
mod connection;
mod error;
mod listen;
mod router;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod tests;
mod tls;

pub use crate::request::Limits;
pub use collector::{Collector, Options};
pub use error::ServeError;
pub use listen::Server;
pub use router::{guarded, introduced, router};
pub use tls::TlsFiles;
