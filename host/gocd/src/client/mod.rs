//! Client of a GoCD server.
//!
//! [`Source`] is the interface that the other modules use: documents by their [`Resource`](crate::Resource). [`Client`] implements it over
//! HTTP. It calls one server only, at addresses that it makes itself ([`ServerUrl::url`](crate::ServerUrl::url)): no document, link or
//! redirect decides where the credentials are sent.

mod answer;
mod credentials;
mod http;
mod pace;

pub use answer::{FetchError, Source};
pub use credentials::{Credentials, CredentialsError, MAX_SECRET, Secret, SecretError};
pub use http::{Client, ClientError, ClientOptions};
