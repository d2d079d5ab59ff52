//! The errors of a server's start.

use crate::access::TokensError;
use crate::hooks::SourceError;
use crate::request::Exposed;
use crate::store::StoreError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An error that keeps the server from starting.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Strangers could report, read or listen in.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        why: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {} for TLS: {why}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// The fault, and its remedy.
        why: String,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A source of webhooks cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}
