//! Values to the documents that a GoCD server of a dialect sends.
//!
//! Elements and attributes come in the order in which real servers have them. What a dialect does not have is left out: in the new one a pipeline's
//! label, a job's properties, all changes of a material but the newest, and their addresses. Names may have any character: what has a
//! meaning in XML is escaped, what XML cannot carry is shown as U+FFFD.

mod documents;
mod links;
mod markup;

pub use documents::{feed, job, pipeline, pipelines, refusal, stage};
pub use links::Links;
