//! A stage's run.

use super::{Counter, Name, PipelineLocator, StageLocator, StageResult, StageState, Timestamp, Urn};
use crate::Resource;
use crate::address::Href;

/// A run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The stage's name, as the server stores it.
    pub name: Name,
    /// Which run of it within the pipeline's run.
    pub counter: Counter,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// When a job of it last changed; before any did, when the stage was made.
    pub updated: Option<Timestamp>,
    /// How it went. `Failed` while the state is [`StageState::Failing`] is not the end.
    pub result: StageResult,
    /// Where it is.
    pub state: StageState,
    /// Who let it run: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
    /// Its jobs, by the addresses of their documents, in no order.
    pub jobs: Vec<Href>,
}

/// The pipeline's run that a stage or a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePipeline {
    /// The pipeline.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// A name of the run for people.
    pub label: Option<String>,
    /// The address of its document. A job's document has none.
    pub href: Option<Href>,
}

impl StagePipeline {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }
}

impl Stage {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> StageLocator {
        StageLocator {
            pipeline: self.pipeline.locator(),
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// The documents of its jobs; links that lead elsewhere are left out.
    #[must_use]
    pub fn job_resources(&self) -> Vec<Resource> {
        let is_job = |resource: &Resource| matches!(resource, Resource::JobById(_) | Resource::Job(_));
        self.jobs.iter().filter_map(Href::resource).filter(is_job).collect()
    }
}
