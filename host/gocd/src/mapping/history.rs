//! All that is known of a pipeline's run: its documents, the times of its stages, and what the documents leave open.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use thiserror::Error;

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

/// A stage's run with its times.
#[derive(Clone, Debug)]
pub struct Timed<'h> {
    pub stage: &'h StageRun,
    /// When its first job was put into the queue.
    pub began: Option<Timestamp>,
    /// When it ended; none while it is under way, or if no document says.
    pub ended: Option<Timestamp>,
}

impl<'h> Timed<'h> {
    pub fn new(history: &RunHistory, stage: &'h StageRun, warnings: &mut Vec<Warning>) -> Self {
        let mut own: Vec<&Job> = Vec::new();
        for job in &stage.jobs {
            if is_of(job, history, stage) {
                own.push(job);
            } else {
                warnings.push(Warning::OtherJob { job: job.name.clone() });
            }
        }
        let completed = own.iter().filter_map(|job| job.completed()).max();
        Self {
            stage,
            began: own.iter().filter_map(|job| job.scheduled()).min(),
            ended: completed.or(stage.updated).filter(|_| !stage.state.is_active()),
        }
    }
}

/// Whether a job's document is about this run of the stage. Some spell the names as they were asked for.
fn is_of(job: &Job, history: &RunHistory, stage: &StageRun) -> bool {
    job.pipeline.name.is_same(&history.run.name)
        && job.pipeline.counter == history.run.counter
        && job.stage.name.is_same(&stage.name)
        && job.stage.counter == stage.counter
}

/// A time as DX is sent it: RFC 3339 in UTC, for one without a zone could be taken for anything.
pub fn sent(time: Timestamp) -> String {
    time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Something that a run's documents do not say, or say in a way that cannot be used. The run is mapped as well as it can be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// An attempt is not reported: DX needs a start.
    #[error("attempt {attempt} is left out, for no document says when it began")]
    NoStart {
        /// Which attempt.
        attempt: u32,
    },
    /// A start is later than the true one.
    #[error("attempt {attempt} began at some time before the end of its first stage, which is taken for its start")]
    ApproximateStart {
        /// Which attempt.
        attempt: u32,
    },
    /// A stage has ended in a way that is not known.
    #[error("how stage {stage} went in its run {counter} is not known; it is left out")]
    UnknownResult {
        /// The stage.
        stage: Name,
        /// Which run of it.
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
    #[error("the git materials name {count} repositories; {chosen} is taken (--material chooses another)")]
    SeveralMaterials {
        /// How many.
        count: usize,
        /// The one that is taken.
        chosen: String,
    },
    /// The material's address names no repository.
    #[error("no git material has an address that names a repository as owner/name; repository and commit are left out")]
    NoRepository,
    /// The revision is none of git's.
    #[error("the revision of {repository} is no commit's name of 40 or 64 hexadecimal digits; it is left out")]
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
    #[error("the server names the newest revisions it knows, not this run's; commit and committer are left out")]
    OtherRevision,
}

impl Warning {
    /// What the warnings of a kind have in common, to count them by.
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
