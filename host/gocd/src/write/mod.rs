//! Values to the documents that a GoCD server of a dialect sends.
//!
//! Elements and attributes come in the order in which real servers have them. What a dialect does not have is left out: in D a pipeline's
//! label, a job's properties, all changes of a material but the newest, and their addresses. Names may have any character: what has a
//! meaning in XML is escaped, what XML cannot carry is shown as U+FFFD.

mod escape;
mod feed;
mod job;
mod links;
mod markup;
mod material;
mod pipeline;
mod pipelines;
mod refusal;
mod stage;

pub use feed::feed;
pub use job::job;
pub use links::Links;
pub use pipeline::pipeline;
pub use pipelines::pipelines;
pub use refusal::refusal;
pub use stage::stage;
