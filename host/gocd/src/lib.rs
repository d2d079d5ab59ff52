//! GoCD feeds: reading them, and writing them. The only place that knows GoCD's XML.
//!
//! - [`documents`]: the values that the Feeds API's documents carry, the same for both directions.
//! - [`address`]: the API's addresses, and which of them may be trusted: [`ServerUrl`], [`Resource`], [`Href`].
//! - [`read`]: a document's bytes to a value, within bounds; tolerant where real servers differ, strict where identity is at stake.
//! - [`write`](mod@write): a value to the document that a server of a [`Dialect`] would send.
//! - [`client`]: a server's documents over HTTP: [`client::Source`].
//! - [`mapping`]: a pipeline's run, put together from documents, to the notifications for DX.
//! - [`sync`]: a server's history, read and followed, from a [`client::Source`] to a sink of notifications.
//!
//! Servers have two kinds of feeds, [`Dialect::Old`] and [`Dialect::New`], and both are read and written. What the documentation's page shows
//! differs from the old one only in small things, and is read as it; what Cruise 1.x and Go 2.0 sent is recognised and refused.

pub mod address;
pub mod client;
pub mod documents;
pub mod mapping;
pub mod read;
pub mod sync;
pub mod write;

pub use address::{Href, Resource, ServerUrl};

/// How a server words its documents and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Go 2.4 to GoCD 20.3: addresses with database ids below `/go/api`, feeds in the order of completion. What Go 2.1 to 2.3 sent, and
    /// the documentation's page shows, is read as this too.
    Old,
    /// GoCD 20.1 and later: addresses with counters below `/go/api/feed`, feeds in the order of the pipeline's counter, times in UTC.
    New,
}
