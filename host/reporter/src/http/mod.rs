//! What every HTTP client here shares, whatever it talks to: whom to trust, the way there, and words for what goes wrong.
//!
//! A [`Transport`] reaches one [`ServerAddress`] and no other: it follows no redirect, and looks for nothing in the environment but the system's
//! certificates. What is sent and what an answer means is its user's: [`dx`](crate::dx), and the reader of GoCD's feeds.

mod connect;
mod error;
mod proxy;
mod roots;
mod secret_file;
mod transport;

pub use error::ClientError;
pub use proxy::ProxyOptions;
pub use secret_file::{SecretFile, SecretFileError};
pub use transport::ServerAddress;
pub use transport::{MAX_RETRY_AFTER, header, quote, read_body, retry_after};
pub use transport::{Transport, TransportOptions};

/// How we name ourselves: a product and its version (RFC 9110, section 10.1.5).
pub const USER_AGENT: &str = concat!("pipefold/", env!("CARGO_PKG_VERSION"));
