//! Asking a GoCD server.
//!
//! [`Source`] is what the rest knows of a server: documents by their [`Resource`](crate::Resource). [`Client`] is one over HTTP. It asks
//! one server only, at addresses that it makes itself ([`ServerUrl::url`](crate::ServerUrl::url)): no document, link or redirect decides
//! where the credentials go.

mod answer;
mod credentials;
mod http;
mod pace;

pub use answer::{FetchError, Source};
pub use credentials::{Credentials, CredentialsError, MAX_SECRET, Secret, SecretError};
pub use http::{Client, ClientError, ClientOptions};
