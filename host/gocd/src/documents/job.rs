//! A job.

use super::{Counter, JobState, Name, StagePipeline, StageResult, Timestamp, Urn};
use crate::address::Href;

/// A job in a stage's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The job's name.
    pub name: Name,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// The stage's run. It may be an earlier one than was asked for: a job that was not run again is shown as it ran.
    pub stage: JobStage,
    /// How it went.
    pub result: StageResult,
    /// Where it is.
    pub state: JobState,
    /// What the server and the job's agent wrote down when it ended. Since GoCD 19.10 there are none.
    pub properties: Vec<Property>,
    /// The agent that has or had it.
    pub agent: Option<String>,
    /// Where its artifacts are.
    pub artifacts: Option<ArtifactRoot>,
}

/// The stage's run that a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStage {
    /// The stage.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// The address of its document.
    pub href: Option<Href>,
}

/// A property of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name, such as `cruise_job_duration`.
    pub name: String,
    /// Its value, such as `402`.
    pub value: String,
}

/// Where a job's artifacts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRoot {
    /// The address below which they are served.
    pub base_uri: Href,
    /// The directory that they are in on the server.
    pub path: Option<String>,
}

impl Job {
    /// When it was put into the queue.
    #[must_use]
    pub fn scheduled(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_01_scheduled")
    }

    /// When it ended.
    #[must_use]
    pub fn completed(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_06_completed")
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let property = self.properties.iter().find(|property| property.name == name)?;
        crate::read::timestamp(&property.value)
    }
}
