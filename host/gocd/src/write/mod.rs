//! Writer of documents: values to the documents that a GoCD server of a dialect sends.
//!
//! Elements and attributes have the order of real servers. Data that a dialect does not have is left out: in the new one a pipeline's
//! label, a job's properties, all changes of a material but the newest, and their addresses. Names may have any character: those with a
//! meaning in XML are escaped, those that XML cannot carry become U+FFFD.

mod documents;
mod links;
mod markup;

pub use documents::{feed, job, pipeline, pipelines, refusal, stage};
pub use links::Links;
