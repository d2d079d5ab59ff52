//! The history of a pipeline's run: its documents, the times of its stages, and what the documents leave open.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use thiserror::Error;

use crate::documents::{
    Counter, Job, Name, Pipeline, PipelineLocator, Stage, StageEntry, StageResult, StageState, Timestamp,
};
use crate::{Href, Resource};

/// The time after the last change of a stage in which a run may still go on: a manual stage, or a re-run. Later changes are found by the
/// daily walk.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(14);

/// A pipeline's run with its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHistory {
    /// The run: the pipeline's name as the server stores it, and the counter.
    pub run: PipelineLocator,
    /// The run's own document.
    pub pipeline: Option<Pipeline>,
    /// The meaning of the revisions in that document.
    pub revisions: Revisions,
    /// The stages' runs, in any order. Of several entries for one run the one updated last counts; if they are equally old, the first: a
    /// stage's document, which has more data, goes before its entry in the feed.
    pub stages: Vec<StageRun>,
}

/// The meaning of the revisions in a pipeline's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// The revisions that the run used (the old dialect, or from elsewhere).
    OfRun,
    /// The newest revisions that the server knew at the time of the request (the new dialect).
    LatestKnown {
        /// True if the run was the newest of its pipeline then.
        was_newest: bool,
    },
}

/// A stage's run with its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRun {
    /// The stage.
    pub name: Name,
    /// The stage's counter within the pipeline's run.
    pub counter: Counter,
    /// The result.
    pub result: StageResult,
    /// The state.
    pub state: StageState,
    /// The time of the last update: for a completed stage its end.
    pub updated: Option<Timestamp>,
    /// The trigger in the stage's document: a person, `changes` or a timer. `None` if it is unknown.
    pub approved_by: Option<String>,
    /// True if the trigger is unknown because the stage's document is missing at present. It may be a person, until the document comes.
    pub approver_may_come: bool,
    /// The stage's database id, which the old dialect has. Ids increase, so they order stages that ended in the same second.
    pub id: Option<u64>,
    /// The documents of its jobs that were requested. Only those of GoCD before 19.10 add data: times.
    pub jobs: Vec<Job>,
    /// True if documents of its jobs that may have times could not be read.
    pub lacks_jobs: bool,
}

impl From<&StageEntry> for StageRun {
    fn from(entry: &StageEntry) -> Self {
        Self {
            name: entry.stage.name.clone(),
            counter: entry.stage.counter,
            result: entry.result(),
            // The feed has completed stages only.
            state: StageState::Completed,
            updated: entry.updated,
            approved_by: entry.approver.clone(),
            approver_may_come: false,
            id: id(entry.stage_link()),
            jobs: Vec::new(),
            lacks_jobs: false,
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
            approver_may_come: false,
            id: id(stage.self_link.as_ref()),
            jobs: Vec::new(),
            lacks_jobs: false,
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
    /// Returns true if the run may still change: its last change was less than 14 days ago.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until().is_some_and(|until| now < until)
    }

    /// Returns the time until which the run may change. A run that failed or waits may go on no longer than one that passed. `None` if no
    /// document has a time.
    #[must_use]
    pub fn open_until(&self) -> Option<DateTime<Utc>> {
        let scheduled = self.pipeline.as_ref().and_then(|pipeline| pipeline.scheduled);
        let updated = self.stages.iter().filter_map(|run| run.updated);
        updated.chain(scheduled).max()?.to_utc().checked_add_signed(OPEN_FOR)
    }
}

/// A stage's run with its times.
#[derive(Clone, Debug)]
pub struct Timed<'h> {
    pub stage: &'h StageRun,
    /// The time at which the stage's first job was queued.
    pub began: Option<Timestamp>,
    /// The end; `None` while the stage is in progress, or if no document has a time.
    pub ended: Option<Timestamp>,
    /// The form in which it is reported.
    pub steps: Steps<'h>,
}

/// The steps of a stage's run. A run of DX never loses a job, so the form has to be the same whenever the stage is looked at.
#[derive(Clone, Debug)]
pub enum Steps<'h> {
    /// One for the stage: documents have no times of jobs.
    Stage,
    /// One for each of these jobs.
    Jobs(Vec<StepJob<'h>>),
    /// None: a document that is missing decides the form, and may still come.
    Undecided,
}

/// A job of a stage's run.
#[derive(Clone, Copy, Debug)]
pub struct StepJob<'h> {
    pub job: &'h Job,
    /// True for a job that ran in this run of the stage, false for one that was taken over from an earlier one.
    pub is_own: bool,
}

impl<'h> Timed<'h> {
    pub fn new(history: &RunHistory, stage: &'h StageRun, warnings: &mut Vec<Warning>) -> Self {
        let mut jobs: Vec<StepJob<'h>> = Vec::new();
        for job in &stage.jobs {
            let is_of_stage = is_of_run(job, history) && job.stage.name.is_same(&stage.name);
            let is_own = is_of_stage && job.stage.counter == stage.counter;
            if !is_own {
                warnings.push(Warning::OtherJob { job: job.name.clone() });
            }
            if is_of_stage && job.stage.counter <= stage.counter {
                jobs.push(StepJob { job, is_own });
            }
        }
        let own = || jobs.iter().filter(|job| job.is_own).map(|job| job.job);
        let began = own().filter_map(Job::scheduled).min();
        let completed = own().filter_map(Job::completed).max();
        // Only a job that has ended shows whether the server records jobs' times.
        let is_open = stage.state.is_active() && !stage.jobs.is_empty();
        let steps = match completed {
            Some(_) => Steps::Jobs(jobs),
            None if is_open || stage.lacks_jobs => Steps::Undecided,
            None => Steps::Stage,
        };
        Self {
            stage,
            began,
            ended: completed.or(stage.updated).filter(|_| !stage.state.is_active()),
            steps,
        }
    }
}

/// Returns true if a job's document is about the run. Some documents have names in the spelling of the request.
fn is_of_run(job: &Job, history: &RunHistory) -> bool {
    job.pipeline.name.is_same(&history.run.name) && job.pipeline.counter == history.run.counter
}

/// Formats a time for DX: RFC 3339 in UTC, as the meaning of a time without a zone is unclear.
pub fn sent(time: Timestamp) -> String {
    time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A fact that a run's documents lack, or have in an unusable form. The run is mapped without it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// An attempt is not reported: DX requires a start.
    #[error("attempt {attempt} is left out: no document has the time of its start")]
    NoStart {
        /// The attempt's number.
        attempt: u32,
    },
    /// A start is later than the true one.
    #[error("the start of attempt {attempt} is unknown; the end of its first stage is used instead")]
    ApproximateStart {
        /// The attempt's number.
        attempt: u32,
    },
    /// A stage has an unknown result.
    #[error("the result of run {counter} of stage {stage} is unknown; it is left out")]
    UnknownResult {
        /// The stage.
        stage: Name,
        /// The stage's counter.
        counter: Counter,
    },
    /// A job's document is about another stage's run.
    #[error(
        "the document of job {job} is about another stage's run, as after a re-run of failed jobs; its times are not used"
    )]
    OtherJob {
        /// The job.
        job: Name,
    },
    /// The materials name several repositories.
    #[error("the git materials name {count} repositories; {chosen} is used (--material chooses another)")]
    SeveralMaterials {
        /// The number of repositories.
        count: usize,
        /// The chosen one.
        chosen: String,
    },
    /// The material's address names no repository.
    #[error("no git material has an address that names a repository as owner/name; repository and commit are left out")]
    NoRepository,
    /// The revision is not a git commit.
    #[error("the revision of {repository} is not a commit of 40 or 64 hexadecimal digits; it is left out")]
    NotACommit {
        /// The repository.
        repository: String,
    },
    /// The material is the trial merge of a pull request.
    #[error("the revision of {repository} is a trial merge of a pull request, which is on no branch; it is left out")]
    TrialMerge {
        /// The repository.
        repository: String,
    },
    /// The revision is not this run's.
    #[error("the server sends the newest revisions it knows, not this run's; commit and committer are left out")]
    OtherRevision,
}

impl Warning {
    /// The kind of the warning, to count by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoStart { .. } => "no start",
            Self::ApproximateStart { .. } => "approximate start",
            Self::UnknownResult { .. } => "unknown result",
            Self::OtherJob { .. } => "job of another stage's run",
            Self::SeveralMaterials { .. } => "several materials",
            Self::NoRepository => "no repository",
            Self::NotACommit { .. } => "revision that is no commit",
            Self::TrialMerge { .. } => "trial merge",
            Self::OtherRevision => "revision of another run",
        }
    }
}
