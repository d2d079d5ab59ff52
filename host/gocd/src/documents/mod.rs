//! The values of the Feeds API's documents: those of a feed, those of a run, and what identifies them.
//!
//! Names, counters and links that identify something are strict types and always present. Real servers sometimes leave out the rest, which
//! is therefore optional. Data that no run needs (changed files, artifacts' names, resources, a job's environment variables, which may hold
//! secrets) is not kept.

mod feed;
mod identity;
mod run;

pub use feed::{Author, Category, Link, ListedPipeline, Pipelines, Relation, StageEntry, StageFeed};
pub use identity::{Counter, JobLocator, Name, NameError, PipelineLocator, StageLocator, Urn};
pub(crate) use run::timestamp;
pub use run::{
    ArtifactRoot, Changeset, Job, JobStage, JobState, Material, MaterialKind, Pipeline, Property, Stage, StagePipeline,
    StageResult, StageState, Timestamp,
};
