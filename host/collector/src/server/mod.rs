//! The HTTP server: who may connect, what a peer may take, which address leads where.
//!
//! - `collector`: everything put together.
//! - `exposure`: who can reach the server, and so what it needs before it listens.
//! - `listen`: the socket, and the end; `connection`: one connection; `tls`, `stalled`: what is between it and the socket.
//! - `limits`: what one peer may take. `rooms`: how many connections there are, and from where. `descriptors`: as many files as connections need.
//! - `app`: what every handler has at hand; `router`: which address leads where.
//! - `caller`: who sends a request; `body`: what it sends; `answer`, `trouble`: what it is told.
//! - `rules`: what is asked about the meaning of notifications.
//! - `upkeep`: removing what is old.
//! - `error`: why the server does not begin.

mod answer;
mod app;
mod body;
mod caller;
mod collector;
mod connection;
mod descriptors;
mod error;
mod exposure;
mod limits;
mod listen;
mod rooms;
mod router;
mod rules;
mod stalled;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod tests;
mod tls;
mod trouble;
mod upkeep;

pub(crate) use answer::{json, refused};
pub use app::App;
pub(crate) use body::{Kind, kind, read};
pub(crate) use caller::address;
pub use caller::{Caller, Denied, Peer, Schemes};
pub use collector::{Collector, Options};
pub use error::ServeError;
pub use exposure::Exposure;
pub use limits::Limits;
pub use listen::Server;
pub use router::{guarded, introduced, router};
pub use rules::{Admitted, Rules};
pub use tls::TlsFiles;
pub(crate) use trouble::told;
pub use upkeep::keep_for;
