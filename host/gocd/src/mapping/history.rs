//! All that is known of a pipeline's run.

use chrono::{DateTime, TimeDelta, Utc};

use crate::documents::{
    Counter, Job, Name, Pipeline, PipelineLocator, Stage, StageEntry, StageResult, StageState, Timestamp,
};
use crate::{Href, Resource};

/// How long after the last change of a stage a run may still go on: a manual stage, or a re-run. What comes later is found by the daily walk.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(14);

/// A pipeline's run with what documents said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHistory {
    /// Which run: the pipeline's name as the server stores it, and the counter.
    pub run: PipelineLocator,
    /// The run's own document.
    pub pipeline: Option<Pipeline>,
    /// What the revisions in it are.
    pub revisions: Revisions,
    /// The stages' runs, in any order. A run that is there twice counts once, as it was updated last; of two that are as old, as the first
    /// has it: a stage's document, which knows more, goes before its entry in the feed.
    pub stages: Vec<StageRun>,
}

/// What the revisions in a pipeline's document are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// Those that the run used (the old dialect, or from elsewhere).
    OfRun,
    /// The newest that the server knew when the document was asked for (the new dialect).
    LatestKnown {
        /// Whether the run was the newest of its pipeline then.
        was_newest: bool,
    },
}

/// A stage's run with what documents said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRun {
    /// The stage.
    pub name: Name,
    /// Which run of it within the pipeline's run.
    pub counter: Counter,
    /// How it went.
    pub result: StageResult,
    /// Where it is.
    pub state: StageState,
    /// When it was updated last: once it has ended, when it did.
    pub updated: Option<Timestamp>,
    /// Who let it run, as the stage's document has it: a person, `changes` or a timer. None if that is not known.
    pub approved_by: Option<String>,
    /// The stage's database id, which the old dialect has: it grows, and so tells apart stages that ended in the same second.
    pub id: Option<u64>,
    /// Its jobs' documents, as far as they were asked for. Only those of GoCD before 19.10 add something: times.
    pub jobs: Vec<Job>,
}

impl From<&StageEntry> for StageRun {
    fn from(entry: &StageEntry) -> Self {
        Self {
            name: entry.stage.name.clone(),
            counter: entry.stage.counter,
            result: entry.result(),
            // The feed has no others.
            state: StageState::Completed,
            updated: entry.updated,
            approved_by: entry.approver.clone(),
            id: id(entry.stage_link()),
            jobs: Vec::new(),
        }
    }
}

impl From<&Stage> for StageRun {
    fn from(stage: &Stage) -> Self {
        Self {
            name: stage.name.clone(),
            counter: stage.counter,
            result: stage.result,
            state: stage.state,
            updated: stage.updated,
            approved_by: stage.approved_by.clone(),
            id: id(stage.self_link.as_ref()),
            jobs: Vec::new(),
        }
    }
}

fn id(href: Option<&Href>) -> Option<u64> {
    match href?.resource()? {
        Resource::StageById(id) => Some(id),
        _ => None,
    }
}

impl RunHistory {
    /// Whether more may come: something happened to it less than 14 days ago.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until().is_some_and(|until| now < until)
    }

    /// Until when more may come. A run that failed or stands still may go on no longer than one that passed. None if no document has a time.
    #[must_use]
    pub fn open_until(&self) -> Option<DateTime<Utc>> {
        let scheduled = self.pipeline.as_ref().and_then(|pipeline| pipeline.scheduled);
        let updated = self.stages.iter().filter_map(|run| run.updated);
        updated.chain(scheduled).max()?.to_utc().checked_add_signed(OPEN_FOR)
    }
}
