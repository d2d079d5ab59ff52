//! Why the server does not begin, or ended.

use crate::access::TokensError;
use crate::store::StoreError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server does not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anyone could report and read.
    #[error(
        "{0} can be reached from other machines, and there is no token: make one with `pipefold token add NAME`, or listen on 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// Anyone whom the proxy lets in could report and read.
    #[error(
        "behind a proxy every request seems to come from this machine, and there is no token: make one with `pipefold token add NAME`"
    )]
    NoTokenBehindProxy,
    /// Tokens would cross the network unencrypted.
    #[error(
        "{0} can be reached from other machines, and tokens would go there unencrypted: give --tls-cert and --tls-key, or --behind-proxy where a proxy on the way does the encryption"
    )]
    Plain(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {} for TLS: {why}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}
