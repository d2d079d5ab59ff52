//! Where what was read goes.

use pipefold_sandbox::Notification;
use thiserror::Error;

use super::notice::Notice;
use crate::documents::PipelineLocator;

/// Takes what is new of pipelines' runs: the spool of the reporter, or a test.
pub trait Sink {
    /// Takes what is new of one pipeline's run, all of it or nothing, durably: on `Ok` it is on disk. A run may be told again, after a kill
    /// or when its documents changed; upserts repeat harmlessly.
    ///
    /// # Errors
    ///
    /// [`SinkError`] ends the round; the run is told again in the next.
    fn take(&mut self, run: &Reported) -> Result<(), SinkError>;
}

/// What is new of a pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Which run, with the pipeline's name as the server stores it.
    pub run: PipelineLocator,
    /// Its attempts of which there is something new, the first first; at least one.
    pub attempts: Vec<News>,
    /// What the documents left open, also what was told before.
    pub notices: Vec<Notice>,
}

/// What is new of an attempt: everything in it is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which attempt, from 1.
    pub number: u32,
    /// The name of the run in DX.
    pub reference_id: String,
    /// For the hook `pipeline-start`. None if it was told before, or there is an end, which says the same and more.
    pub start: Option<Notification>,
    /// For the hook `step`.
    pub steps: Vec<Notification>,
    /// For the hook `pipeline-finish`. None if it was told before, or the attempt has not ended.
    pub finish: Option<Notification>,
}

/// A run could not be kept.
#[derive(Debug, Error)]
#[error("what GoCD said of a run could not be recorded: {0}")]
pub struct SinkError(pub String);
