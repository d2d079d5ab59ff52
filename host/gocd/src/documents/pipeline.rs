//! A pipeline's run.

use super::{Counter, Material, Name, PipelineLocator, Timestamp, Urn};
use crate::Resource;
use crate::address::Href;

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline's name; in dialect D in the spelling that was asked for.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// A name of the run for people. Runs may share one; dialect D has none.
    pub label: Option<String>,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The run that comes after this one. In dialect D the address is wrong.
    pub inserted_before: Option<Href>,
    /// The run that comes before this one. In dialect D the address is wrong.
    pub inserted_after: Option<Href>,
    /// The earliest time at which the latest run of a stage was scheduled: it moves on when the first stages are run again.
    pub scheduled: Option<Timestamp>,
    /// What it was made from. In dialect D the revisions are the newest ones that the server knows, not this run's.
    pub materials: Vec<Material>,
    /// The latest run of each stage that has run, by the addresses of their documents.
    pub stages: Vec<Href>,
    /// Who let the latest run of the first stage go: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
}

impl Pipeline {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// The documents of its stages; links that lead elsewhere are left out.
    #[must_use]
    pub fn stage_resources(&self) -> Vec<Resource> {
        let is_stage = |resource: &Resource| matches!(resource, Resource::StageById(_) | Resource::Stage(_));
        self.stages.iter().filter_map(Href::resource).filter(is_stage).collect()
    }
}
