//! The jobs of attempts.
//!
//! A job of GoCD is one of DX, named `STAGE/JOB`; a stage whose jobs are not known is one, named by the stage. A stage that is run again
//! begins another attempt, so that an attempt has each job once.

use pipefold_gocd::documents::StageResult;

use super::attempts::Attempt;
use super::record::{Reading, Wanted};
use super::{people, times};
use crate::history::{JobRun, PipelineRun, StageRun};

/// A job that DX must hold of a run. A field with several values is right if it has any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedJob {
    /// Its name, which is its `reference_id` too.
    pub name: String,
    /// True if it need not be there: the attempt goes on, or the job was taken over from an earlier run of its stage.
    pub may_be_absent: bool,
    /// Its status and its finish.
    pub outcomes: Vec<(&'static str, Option<String>)>,
    /// Its start.
    pub started_at: Vec<Option<String>>,
}

/// What DX must hold of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedStage {
    /// The stage.
    pub name: String,
    /// The jobs, in each form that a reader may rightly have given them: one by one and, where documents do not have their times, as one
    /// job for the whole stage.
    pub forms: Vec<Vec<ExpectedJob>>,
}

/// The stages of an attempt.
pub(super) fn stages(run: &PipelineRun, attempt: &Attempt<'_>, events: u64, wanted: &Wanted) -> Vec<ExpectedStage> {
    let goes_on = attempt.stages.iter().any(|stage| stage.completed(events).is_none());
    let of_stage = |(place, stage): (usize, &&StageRun)| {
        let known = Known {
            stage,
            starts: starts(run, attempt, place, events, wanted),
            goes_on,
            events,
            wanted,
        };
        let mut forms = vec![stage.jobs.iter().map(|job| known.job(job)).collect()];
        if !wanted.has_times() {
            forms.push(vec![known.whole()]);
        }
        ExpectedStage {
            name: stage.name.to_string(),
            forms,
        }
    };
    attempt.stages.iter().enumerate().map(of_stage).collect()
}

/// The starts of a stage that may rightly be reported where no job's document has it. The attempt's first stage began with the attempt, any
/// other when the one before it ended or, if it waited for a person, at its own end at the latest.
///
/// A stage that ended once more, long after, has an end behind those of later stages, and documents have no other order than that of ends.
fn starts(run: &PipelineRun, attempt: &Attempt<'_>, place: usize, events: u64, wanted: &Wanted) -> Vec<Option<String>> {
    let stage = attempt.stages[place];
    let mut starts = match place.checked_sub(1) {
        None => times::started(run, attempt, events, wanted),
        Some(_) if people::is_person(&stage.approved_by) => vec![times::text(stage.updated(events))],
        Some(before) => {
            let end = attempt.stages[before].completed(events);
            end.map(|end| times::text(end.time)).into_iter().collect()
        }
    };
    let is_behind = |pair: &[&StageRun]| pair[0].updated(events) > pair[1].scheduled.time;
    if attempt.stages.windows(2).any(is_behind) {
        let ends = attempt.stages.iter().filter_map(|stage| stage.completed(events));
        starts.extend(times::started(run, attempt, events, wanted));
        starts.extend(ends.map(|end| times::text(end.time)));
    }
    if wanted.reading == Reading::Live || stage.completed(events).is_none() {
        // The document of a stage in progress has its last change: first its beginning, then its jobs' ends.
        let ends = stage.jobs.iter().filter_map(|job| job.ended(events));
        let changes = std::iter::once(stage.scheduled).chain(ends);
        starts.extend(changes.map(|change| times::text(change.time)));
    }
    starts.into_iter().map(Some).collect()
}

/// What can be known of a stage.
struct Known<'a> {
    stage: &'a StageRun,
    /// Its starts by documents without jobs' times.
    starts: Vec<Option<String>>,
    /// True if the attempt has not ended: what a reader knows of it need not be in DX yet.
    goes_on: bool,
    events: u64,
    wanted: &'a Wanted,
}

impl Known<'_> {
    /// The stage as one job.
    fn whole(&self) -> ExpectedJob {
        let end = self.stage.completed(self.events);
        let outcomes = match end {
            Some(end) => {
                let status = status(self.stage.result(self.events));
                vec![(status, Some(times::text(end.time)))]
            }
            None => Vec::new(),
        };
        self.expected(self.stage.name.to_string(), outcomes, self.starts.clone())
    }

    /// One of its jobs.
    fn job(&self, job: &JobRun) -> ExpectedJob {
        let name = format!("{}/{}", self.stage.name, job.name);
        let end = job.ended(self.events);
        if let Some(end) = end.filter(|_| self.wanted.has_times() && !job.is_copied) {
            let outcome = (status(job.result), Some(times::text(end.time)));
            let mut starts = vec![Some(times::text(self.stage.scheduled.time))];
            if self.goes_on {
                // A reader that saw it run knows no start.
                starts.push(None);
            }
            return self.expected(name, vec![outcome], starts);
        }
        // Without times of its own it has those of its stage, or none.
        let mut starts = self.starts.clone();
        starts.push(None);
        let mut outcomes = Vec::new();
        if let Some(end) = end {
            let mut ends = vec![None];
            ends.extend(self.stage.completed(self.events).map(|end| Some(end.time)));
            if self.wanted.reading == Reading::Live {
                ends.push(Some(end.time));
            }
            let outcome = |end: Option<_>| (status(job.result), end.map(times::text));
            outcomes.extend(ends.into_iter().map(outcome));
        }
        let mut expected = self.expected(name, outcomes, starts);
        expected.may_be_absent |= job.is_copied;
        expected
    }

    fn expected(
        &self,
        name: String,
        mut outcomes: Vec<(&'static str, Option<String>)>,
        started_at: Vec<Option<String>>,
    ) -> ExpectedJob {
        if self.goes_on {
            outcomes.push(("running", None));
        }
        ExpectedJob {
            name,
            may_be_absent: self.goes_on,
            outcomes,
            started_at,
        }
    }
}

fn status(result: StageResult) -> &'static str {
    match result {
        StageResult::Passed => "success",
        StageResult::Failed => "failure",
        StageResult::Cancelled => "cancelled",
        StageResult::Unknown => "unknown",
    }
}
