//! The names that documents give themselves.

use super::locator::{JobLocator, PipelineLocator, StageLocator};
use crate::address::encode;

/// What stands before every one of them.
const NAMESPACE: &str = "urn:x-go.studios.thoughtworks.com";

/// The `<id>` of a pipeline, stage or job document. It identifies nothing: servers were seen to give that of another pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Urn(String);

impl Urn {
    /// Takes the text as it is, but for one `>` at its end, which the documentation's page has and no server sends.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.strip_suffix('>').unwrap_or(text).to_owned())
    }

    /// A pipeline's. GoCD calls it a job's id.
    #[must_use]
    pub fn pipeline(run: &PipelineLocator) -> Self {
        Self(format!(
            "{NAMESPACE}:job-id:{}:{}",
            encode(run.name.as_str()),
            run.counter
        ))
    }

    /// A stage's.
    #[must_use]
    pub fn stage(stage: &StageLocator) -> Self {
        Self(format!("{NAMESPACE}:stage-id:{}", stage_path(stage)))
    }

    /// A job's.
    #[must_use]
    pub fn job(job: &JobLocator) -> Self {
        Self(format!(
            "{NAMESPACE}:job-id:{}:{}",
            stage_path(&job.stage),
            encode(job.name.as_str())
        ))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With names escaped as in addresses: a `:` in one would make two of it.
fn stage_path(stage: &StageLocator) -> String {
    let run = &stage.pipeline;
    let name = encode(run.name.as_str());
    format!(
        "{name}:{}:{}:{}",
        run.counter,
        encode(stage.name.as_str()),
        stage.counter
    )
}
