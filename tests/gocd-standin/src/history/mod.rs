//! The history of a server: pipelines, their runs, and the place of each event in the order of all.

pub(crate) mod facts;
mod generate;
mod material;
mod model;
mod run;

pub use generate::Shape;
pub use material::{Author, Change, Kind, Material};
pub use model::{History, JobRun, Moment, PipelineHistory, PipelineRun, StageRun};
