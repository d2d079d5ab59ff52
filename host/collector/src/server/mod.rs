//! The HTTP server: its connections, their bounds, and its routes.
//!
//! - `collector`: the server with its store, and the work beside it. `error`: the errors of a start.
//! - `listen`: the socket, the places for connections, and the end. `connection`: one connection. `tls`: TLS on a connection.
//! - `router`: the routes. `mount`: a path of the proxy in front. `encode`: compression, and answers that a client has already.

mod collector;
mod connection;
mod encode;
mod error;
mod listen;
mod mount;
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
