//! What the Feeds API's documents say, as values: one file a document, and one a value that several share.
//!
//! Names, counters and links that identify something are strict types and always there. The rest is what real servers sometimes leave out,
//! and optional. What no run needs (changed files, artifacts' names, resources, a job's environment variables, which may hold secrets)
//! is not kept.

mod author;
mod counter;
mod entry;
mod feed;
mod job;
mod link;
mod locator;
mod material;
mod name;
mod outcome;
mod pipeline;
mod pipelines;
mod stage;
mod timestamp;
mod urn;

pub use author::Author;
pub use counter::Counter;
pub use entry::StageEntry;
pub use feed::StageFeed;
pub use job::{ArtifactRoot, Job, JobStage, Property};
pub use link::{Category, Link, Relation};
pub use locator::{JobLocator, PipelineLocator, StageLocator};
pub use material::{Changeset, Material, MaterialKind};
pub use name::{Name, NameError};
pub use outcome::{JobState, StageResult, StageState};
pub use pipeline::Pipeline;
pub use pipelines::{ListedPipeline, Pipelines};
pub use stage::{Stage, StagePipeline};
pub use timestamp::Timestamp;
pub use urn::Urn;
