//! Pipelines, runs, stages and jobs, with the times of their events.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use pipefold_gocd::documents::{Counter, JobLocator, Name, PipelineLocator, StageLocator, StageResult};

use super::material::Material;

/// The time and the event number of something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// Its place among all events of the server, from 1.
    pub event: u64,
    /// Its time, in whole seconds, as documents have it.
    pub time: DateTime<Utc>,
}

impl Moment {
    /// Returns true if it is among the first `events` events.
    #[must_use]
    pub fn happened(&self, events: u64) -> bool {
        self.event <= events
    }
}

/// All that happened on a server, in the order of time. What a server knew after the first so many events is a question of each thing's
/// [`Moment`].
#[derive(Clone, Debug)]
pub struct History {
    /// Its pipelines, in the order of the configuration.
    pub pipelines: Vec<PipelineHistory>,
    /// The events' times, in order.
    pub(super) times: Vec<DateTime<Utc>>,
}

impl History {
    /// The number of events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.times.len() as u64
    }

    /// The time of the last of the first `events` events.
    #[must_use]
    pub fn time(&self, events: u64) -> Option<DateTime<Utc>> {
        self.times.get(usize::try_from(events.checked_sub(1)?).ok()?).copied()
    }

    /// Adds an event: a stage's run that had ended ends once more, and failed this time. GoCD does so when an agent that was believed lost
    /// reports after all.
    ///
    /// # Panics
    ///
    /// If there is no such stage's run.
    pub fn fail_again(&mut self, pipeline: usize, run: usize, stage: usize) {
        let event = self.events() + 1;
        let time = self.time(self.events()).unwrap_or_default() + TimeDelta::seconds(60);
        self.times.push(time);
        let job = self.pipelines[pipeline].runs[run].stages[stage].jobs.last_mut();
        let job = job.unwrap_or_else(|| panic!("a stage has jobs"));
        job.result = StageResult::Failed;
        job.completed = Some(Moment { event, time });
    }

    /// The same history so much later.
    #[must_use]
    pub fn later(mut self, by: TimeDelta) -> Self {
        for time in &mut self.times {
            *time += by;
        }
        for pipeline in &mut self.pipelines {
            let changes = pipeline.materials.iter_mut().flat_map(|material| &mut material.changes);
            for change in changes {
                change.known.time += by;
                change.checked_in += by;
            }
            for stage in pipeline.runs.iter_mut().flat_map(|run| &mut run.stages) {
                stage.scheduled.time += by;
                for completed in stage.jobs.iter_mut().filter_map(|job| job.completed.as_mut()) {
                    completed.time += by;
                }
            }
        }
        self
    }
}

/// A pipeline.
#[derive(Clone, Debug)]
pub struct PipelineHistory {
    /// Its name.
    pub name: Name,
    /// Its materials.
    pub materials: Vec<Material>,
    /// Its stages, in order.
    pub stages: Vec<Name>,
    /// The zone in which an old server writes its documents' times.
    pub zone: FixedOffset,
    /// Its runs; the first has the counter 1.
    pub runs: Vec<PipelineRun>,
}

/// A pipeline's run.
#[derive(Clone, Debug)]
pub struct PipelineRun {
    /// Its database id.
    pub id: u64,
    /// Its counter.
    pub counter: Counter,
    /// For each of the pipeline's materials the changes it was made from, newest first, as places in [`Material::changes`].
    pub revisions: Vec<Vec<usize>>,
    /// Its stages' runs, in the order in which they were scheduled. There is one under way at a time, as GoCD has it.
    pub stages: Vec<StageRun>,
}

impl PipelineRun {
    /// Its name and counters.
    #[must_use]
    pub fn locator(&self, of: &PipelineHistory) -> PipelineLocator {
        PipelineLocator {
            name: of.name.clone(),
            counter: self.counter,
        }
    }

    /// The stages' runs that had been scheduled after so many events.
    #[must_use]
    pub fn known(&self, events: u64) -> Vec<&StageRun> {
        let is_known = |stage: &&StageRun| stage.scheduled.happened(events);
        self.stages.iter().filter(is_known).collect()
    }

    /// The latest run of each stage among those.
    #[must_use]
    pub fn latest(&self, events: u64) -> Vec<&StageRun> {
        let known = self.known(events);
        let is_latest = |stage: &&&StageRun| {
            !known
                .iter()
                .any(|other| other.name == stage.name && other.counter > stage.counter)
        };
        known.iter().filter(is_latest).copied().collect()
    }
}

/// A stage's run.
#[derive(Clone, Debug)]
pub struct StageRun {
    /// Its database id.
    pub id: u64,
    /// The stage.
    pub name: Name,
    /// The number of this run of the stage within the pipeline's run.
    pub counter: Counter,
    /// Its approver: `changes`, `timer`, or a person.
    pub approved_by: String,
    /// True if the pipeline's configuration has it wait for a person.
    pub is_manual: bool,
    /// The person who stopped it.
    pub cancelled_by: Option<String>,
    /// The moment at which it was put into the queue, with all of its jobs.
    pub scheduled: Moment,
    /// Its jobs.
    pub jobs: Vec<JobRun>,
}

impl StageRun {
    /// Its name and counters.
    #[must_use]
    pub fn locator(&self, run: &PipelineLocator) -> StageLocator {
        StageLocator {
            pipeline: run.clone(),
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// The end of its last job, if that is among the first `events` events.
    #[must_use]
    pub fn completed(&self, events: u64) -> Option<Moment> {
        let ends = self.jobs.iter().map(|job| job.ended(events));
        ends.collect::<Option<Vec<Moment>>>()?.into_iter().max()
    }

    /// Its result after `events` events. A job that was cancelled outweighs one that failed, as in GoCD.
    #[must_use]
    pub fn result(&self, events: u64) -> StageResult {
        let ended = |result: StageResult| {
            self.jobs
                .iter()
                .any(|job| job.ended(events).is_some() && job.result == result)
        };
        if ended(StageResult::Failed) && !ended(StageResult::Cancelled) {
            return StageResult::Failed;
        }
        match self.completed(events) {
            None => StageResult::Unknown,
            Some(_) if ended(StageResult::Cancelled) => StageResult::Cancelled,
            Some(_) => StageResult::Passed,
        }
    }

    /// Its last event: its beginning, or a job's end.
    #[must_use]
    pub fn updated(&self, events: u64) -> DateTime<Utc> {
        let ends = self.jobs.iter().filter_map(|job| job.ended(events));
        ends.map(|end| end.time)
            .fold(self.scheduled.time, |last, end| last.max(end))
    }
}

/// A job of a stage's run.
#[derive(Clone, Debug)]
pub struct JobRun {
    /// Its database id.
    pub id: u64,
    /// Its name.
    pub name: Name,
    /// Its result at the end.
    pub result: StageResult,
    /// Its end; none if it never ends.
    pub completed: Option<Moment>,
    /// True if an agent had built it before it ended.
    pub was_built: bool,
    /// True if it was taken over from the run before, as when only the failed jobs are run again. It has no times of its own then.
    pub is_copied: bool,
}

impl JobRun {
    /// Its name and counters.
    #[must_use]
    pub fn locator(&self, stage: &StageLocator) -> JobLocator {
        JobLocator {
            stage: stage.clone(),
            name: self.name.clone(),
        }
    }

    /// Its end, if that is among the first `events` events.
    #[must_use]
    pub fn ended(&self, events: u64) -> Option<Moment> {
        self.completed.filter(|completed| completed.happened(events))
    }
}
