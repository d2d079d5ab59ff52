//! Reader and writer of GoCD feeds. The only place that knows GoCD's XML.
//!
//! - [`documents`]: the values of the Feeds API's documents, the same for both directions.
//! - [`address`]: the API's addresses, and the checks on them: [`ServerUrl`], [`Resource`], [`Href`].
//! - [`read`]: a document's bytes to a value, within bounds; tolerant where real servers differ, strict about what identifies a run.
//! - [`write`](mod@write): a value to the document that a server of a [`Dialect`] would send.
//! - [`client`]: a server's documents over HTTP: [`client::Source`].
//! - [`mapping`]: a pipeline's run, assembled from documents, to the notifications for DX.
//! - [`sync`]: a server's history, read and followed, from a [`client::Source`] to a sink of notifications.
//!
//! Servers have two kinds of feeds, [`Dialect::Old`] and [`Dialect::New`]; both are read and written. The documentation's page shows a form
//! that differs from the old one in small things only and is read as the old one. The feeds of Cruise 1.x and Go 2.0 are recognised and
//! refused.

pub mod address;
pub mod client;
pub mod documents;
pub mod mapping;
pub mod read;
pub mod sync;
pub mod write;

pub use address::{Href, Resource, ServerUrl};

/// The form of a server's documents and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Go 2.4 to GoCD 20.3: addresses with database ids below `/go/api`, feeds in the order of completion. The form of Go 2.1 to 2.3, and
    /// that of the documentation's page, are read as this one too.
    Old,
    /// GoCD 20.1 and later: addresses with counters below `/go/api/feed`, feeds in the order of the pipeline's counter, times in UTC.
    New,
}
