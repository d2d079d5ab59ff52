//! What a client is made from.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pipefold::http::ProxyOptions;

use super::credentials::{Credentials, CredentialsError};
use crate::ServerUrl;

/// The longest document asked for unless told otherwise, in bytes. A page of a feed has 50 KiB, and a run with the commits of a year and
/// all their files some MiB. It stands in memory next to what is read out of it, and a reader is to stay small.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// The longest time for one request. GoCD's own source says that a page of the feed takes 2 s on big servers; this is fifteen times that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is sent before a failure that may pass is believed.
const TRIES: u32 = 3;

/// The pause after the first failure: long enough for a proxy to notice a restarted server; the next is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What a [`Client`](super::Client) is made from. [`ClientOptions::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server.
    pub server: ServerUrl,
    /// Who asks.
    pub credentials: Credentials,
    /// Whether credentials may cross a network without TLS. To this machine they always may.
    pub allow_plain: bool,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way to an `https` server.
    pub proxy: ProxyOptions,
    /// The longest time for one request, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// The longest document, in bytes.
    pub max_document: usize,
    /// How often a request is sent before a failure that may pass is believed; at least once.
    pub tries: u32,
    /// The pause after the first failure, with up to as much again at random; the next is twice as long.
    pub first_pause: Duration,
    /// The least time between the end of one request and the begin of the next.
    pub min_pause: Duration,
    /// Once it is true pauses end, and nothing more is asked for.
    pub stop: Option<Arc<AtomicBool>>,
}

impl ClientOptions {
    /// Without credentials, with 30 s a request, 16 MiB a document, 3 tries and no pause between requests.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self {
            server,
            credentials: Credentials::None,
            allow_plain: false,
            ca_file: None,
            proxy: ProxyOptions::default(),
            timeout: TIMEOUT,
            max_document: MAX_DOCUMENT,
            tries: TRIES,
            first_pause: FIRST_PAUSE,
            min_pause: Duration::ZERO,
            stop: None,
        }
    }
}

/// Why there is no client. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The credentials would cross the network readable by anyone.
    #[error(
        "http://{host} would get the password or token in the clear: give the server's https:// address, or, if the \
         network may see it, --insecure-http"
    )]
    PlainHttp {
        /// The server's name.
        host: String,
    },
    /// The server's address cannot be called.
    #[error("the address {0} cannot be called: it looks like https://ci.example.com/go")]
    Address(String),
    /// The credentials cannot be sent.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The way there is not open.
    #[error(transparent)]
    Transport(#[from] pipefold::http::ClientError),
}
