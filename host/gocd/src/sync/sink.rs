//! The receiver of what is new of a run.

use pipefold_sandbox::Notification;
use thiserror::Error;

use super::round::Notice;
use super::seen::hash;
use crate::documents::PipelineLocator;
use crate::mapping::Attempt;

/// Takes what is new of pipelines' runs: the spool of the reporter, or a test.
pub trait Sink {
    /// Takes what is new of one pipeline's run, all of it or nothing, durably: on `Ok` it is on disk. A run may be told again, after a kill
    /// or when its documents changed; upserts repeat harmlessly.
    ///
    /// # Errors
    ///
    /// [`SinkError`] ends the round; the run is reported again in the next.
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

/// The notifications of these attempts that were not reported yet, and the short names of all after that.
pub fn news(attempts: Vec<Attempt>, told: &[u64]) -> (Vec<News>, Vec<u64>) {
    let mut names = told.to_vec();
    let mut news = Vec::new();
    for attempt in attempts {
        let Attempt {
            number,
            reference_id,
            start,
            steps,
            finish,
        } = attempt;
        // The same words at another hook are another notification.
        let mut is_new = |hook: &str, notification: &_| {
            let name = hash(&(hook, notification));
            let is_new = !names.contains(&name);
            if is_new {
                names.push(name);
            }
            is_new
        };
        // An end says all that the start does.
        let start = finish.is_none().then_some(start).filter(|start| is_new("start", start));
        let steps: Vec<_> = steps.into_iter().filter(|step| is_new("step", step)).collect();
        let finish = finish.filter(|finish| is_new("finish", finish));
        if start.is_some() || !steps.is_empty() || finish.is_some() {
            news.push(News {
                number,
                reference_id,
                start,
                steps,
                finish,
            });
        }
    }
    (news, names)
}
