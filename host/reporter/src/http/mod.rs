//! The transport of every HTTP client here: trusted authorities, proxies, connections and errors.
//!
//! A [`Transport`] reaches one [`ServerAddress`] and no other: it follows no redirect, and reads nothing from the environment but the place
//! of the system's certificates. Requests and the meaning of answers are its users': [`dx`](crate::dx), and the reader of GoCD's feeds.

mod connect;
mod error;
mod proxy;
mod retry_after;
mod roots;
mod secret_file;
mod transport;

pub use error::ClientError;
pub use proxy::ProxyOptions;
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use secret_file::{SecretFile, SecretFileError};
pub use transport::ServerAddress;
pub use transport::{Transport, TransportOptions};
pub use transport::{header, quote, read_body};

/// The `User-Agent` of every request: a product and its version (RFC 9110, section 10.1.5).
pub const USER_AGENT: &str = concat!("pipefold/", env!("CARGO_PKG_VERSION"));
