//! What identifies a run, on every server the same way.

use super::{Counter, Name};

/// A pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineLocator {
    /// The pipeline.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
}

/// A stage's run within a pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageLocator {
    /// The pipeline's run.
    pub pipeline: PipelineLocator,
    /// The stage.
    pub name: Name,
    /// Which run of it in the pipeline's run: 2 and more are re-runs.
    pub counter: Counter,
}

/// A job in a stage's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobLocator {
    /// The stage's run.
    pub stage: StageLocator,
    /// The job.
    pub name: Name,
}
