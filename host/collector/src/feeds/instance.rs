//! A run in GoCD's terms.

use crate::store::RunSummary;
use chrono::{DateTime, Utc};
use pipefold_gocd::documents::{
    Counter, JobState, Name, PipelineLocator, StageLocator, StagePipeline, StageResult, StageState, Timestamp,
};
use pipefold_gocd::write::Links;
use pipefold_sandbox::Status;

/// The name of a run's one stage.
pub const STAGE: &str = "run";

/// Who let it run, in GoCD's words: a change of the material. Who that was is in the material.
pub const APPROVED_BY: &str = "changes";

/// A run as the instance of a pipeline, with one stage.
pub struct Instance<'r> {
    pub run: &'r RunSummary,
    pub stage: StageLocator,
}

impl<'r> Instance<'r> {
    /// `None` if the pipeline's name has a character that XML cannot carry: then there is no document about it.
    pub fn of(run: &'r RunSummary) -> Option<Self> {
        let pipeline = PipelineLocator {
            name: Name::new(&run.pipeline).ok()?,
            counter: Counter::new(run.counter)?,
        };
        let stage = StageLocator {
            pipeline,
            name: Name::new(STAGE).ok()?,
            counter: Counter::FIRST,
        };
        Some(Self { run, stage })
    }

    /// Result of the stage.
    pub fn result(&self) -> StageResult {
        result(self.run.record.status)
    }

    /// Returns where it is. A run that says when it ended, and not how, is not under way.
    pub fn state(&self) -> StageState {
        match self.run.record.status {
            Status::Success | Status::Failure | Status::Cancelled => StageState::Completed,
            Status::Unknown if self.run.record.finished_at.is_some() => StageState::Unknown,
            Status::Running | Status::Unknown => StageState::Building,
        }
    }

    /// The same of a job that is as the whole stage.
    pub fn job_state(&self) -> JobState {
        match self.state() {
            StageState::Completed => JobState::Completed,
            StageState::Building | StageState::Failing => JobState::Building,
            StageState::Unknown => JobState::Unknown,
        }
    }

    /// Returns when it began.
    pub fn scheduled(&self) -> Timestamp {
        self.run.started.fixed_offset()
    }

    /// Returns when it last changed: when it ended. Without that, when something was last heard of it.
    pub fn updated(&self) -> Timestamp {
        let heard = || self.run.last_arrived.max(self.run.started);
        let ended = self.run.finished.filter(|_| self.state() == StageState::Completed);
        ended.unwrap_or_else(heard).fixed_offset()
    }

    /// Returns when it ended, exactly.
    pub fn finish(&self) -> Option<DateTime<Utc>> {
        self.run.record.finished_at.as_deref().and_then(time)
    }

    /// A name of the run for people: the counter, which is GoCD's usual one.
    pub fn label(&self) -> String {
        self.run.counter.to_string()
    }

    /// The pipeline, as stages and jobs refer to it.
    pub fn pipeline(&self, links: &Links) -> StagePipeline {
        let run = &self.stage.pipeline;
        StagePipeline {
            name: run.name.clone(),
            counter: run.counter,
            label: Some(self.label()),
            href: Some(links.pipeline(run, self.run.id)),
        }
    }
}

/// DX's word for how it went in GoCD's.
pub fn result(status: Status) -> StageResult {
    match status {
        Status::Success => StageResult::Passed,
        Status::Failure => StageResult::Failed,
        Status::Cancelled => StageResult::Cancelled,
        Status::Running | Status::Unknown => StageResult::Unknown,
    }
}

/// A time of a record, which the rules have made RFC 3339.
pub fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
