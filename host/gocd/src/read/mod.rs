//! Documents' bytes to values.
//!
//! A document is taken for what its root element says, whatever the server called it. It is read in one pass, without a tree, within the
//! bounds of [`limits`]; entities beyond XML's own five cannot be declared, for a document type declaration is refused. Tolerated is what
//! real servers were seen to send: blank lines before the declaration, text wrapped over lines, a stray `>` at the end of an id, missing
//! labels and times, unknown words, elements and attributes. Refused is what makes it unclear which run a document speaks of.

mod attributes;
mod document;
mod error;
mod feed;
pub mod limits;
mod run;
mod scanner;

pub use document::{Document, feed, from_reader, job, pipeline, pipelines, read, stage};
pub use error::{ReadError, ReadFault};
