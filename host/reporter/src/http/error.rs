//! What can be wrong with a client and with an exchange.

use std::path::PathBuf;

impl ClientError {
    /// Whether trying again is of no use before something was put right.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Exchange(_))
    }
}

/// Why no answer came from a server. No message has a token, or a proxy's password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The file of further authorities is of no use.
    #[error("could not use the CA file {}: {why}; give a readable file of certificates in PEM form with --ca-file", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy's address is of no use.
    #[error("the proxy address in {variable} {why}: it should look like http://proxy.example:3128")]
    Proxy {
        /// The variable that names it.
        variable: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The exchange failed, and would do so again a second later.
    #[error("{0}")]
    Lasting(String),
    /// The exchange failed.
    #[error("{0}")]
    Exchange(String),
}
