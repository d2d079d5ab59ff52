//! What happened on a server: pipelines, their runs, and each thing's place in the order of all events.

pub(crate) mod facts;
mod generate;
mod material;
mod model;
mod run;

pub use generate::Shape;
pub use material::{Author, Change, Kind, Material};
pub use model::{History, JobRun, Moment, PipelineHistory, PipelineRun, StageRun};
