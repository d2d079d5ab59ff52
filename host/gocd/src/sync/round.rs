//! The output of a round: its result and notices, the observer of its progress, and the receiver of what is new of a run.

use std::collections::BTreeMap;

use pipefold_sandbox::Notification;
use thiserror::Error;

use super::failure::{Failure, SinkError};
use super::seen::hash;
use crate::Dialect;
use crate::documents::{Counter, Name, PipelineLocator};
use crate::mapping::{Attempt, Warning};

/// How many runs of one stage within a pipeline's run are asked for. People re-run a stage some dozen times at most.
pub const MAX_RERUNS: u64 = 500;

/// What a round did, in sum.
#[derive(Debug)]
pub struct Round {
    /// How the server speaks.
    pub dialect: Dialect,
    /// How many pipelines were chosen.
    pub pipelines: usize,
    /// Pipelines that were left before their end, and why. The next round goes on with them.
    pub failed: Vec<(Name, Failure)>,
    /// Pipelines that are not listed any more: renamed, deleted, or hidden from the user. Each is said once.
    pub gone: Vec<Gone>,
    /// Patterns that no listed pipeline fits, where others are fitted.
    pub unfitted: Vec<String>,
    /// Documents asked for, repetitions aside.
    pub requests: u64,
    /// Pages of feeds read.
    pub pages: u64,
    /// Runs looked at, each as often as it was.
    pub looked_at: u64,
    /// Runs of which there was something new.
    pub runs: u64,
    /// Attempts of which there was something new.
    pub attempts: u64,
    /// Notifications handed on.
    pub notifications: u64,
    /// What came up, by [`Notice::kind`].
    pub notices: BTreeMap<&'static str, Tally>,
    /// Links in feeds to other hosts than the server's: it does not know its own name, or they lead elsewhere. None was followed there.
    pub foreign_links: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// A pipeline that is not listed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub pipeline: Name,
    /// Its runs that had not ended when they were read last: they stay so in DX.
    pub under_way: Vec<u64>,
}

/// Notices of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first one, with what it is about.
    pub example: String,
}

impl Round {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            pipelines: 0,
            failed: Vec::new(),
            gone: Vec::new(),
            unfitted: Vec::new(),
            requests: 0,
            pages: 0,
            looked_at: 0,
            runs: 0,
            attempts: 0,
            notifications: 0,
            notices: BTreeMap::new(),
            foreign_links: 0,
            stopped: false,
        }
    }

    pub(super) fn count(&mut self, about: &dyn std::fmt::Display, notice: &Notice) {
        let tally = self.notices.entry(notice.kind()).or_insert_with(|| Tally {
            count: 0,
            example: format!("{about}: {notice}"),
        });
        tally.count += 1;
    }
}

/// Something that came up, and did not stop anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Notice {
    /// What a run's documents left open.
    #[error(transparent)]
    Mapping(#[from] Warning),
    /// The run's own document is not there, or not to be read.
    #[error("the run's own document cannot be had ({0}); what the feed says of its stages is all there is")]
    NoPipeline(String),
    /// A stage's document is not there, or not to be read.
    #[error("the document of stage {stage}'s run {counter} cannot be had ({why}); the run is reported without it")]
    NoStage {
        /// The stage.
        stage: String,
        /// Which run of it.
        counter: u64,
        /// Why.
        why: String,
    },
    /// A job's document is not there, or not to be read.
    #[error("a job's document of stage {stage} cannot be had ({why}); its times are not used")]
    NoJob {
        /// The stage.
        stage: Name,
        /// Why.
        why: String,
    },
    /// A document is about something else.
    #[error("a document is about {found} where {asked} was asked for; it is not used")]
    OtherDocument {
        /// What was asked for.
        asked: String,
        /// What came.
        found: String,
    },
    /// A stage was run more often than is looked at.
    #[error(
        "stage {stage} was run {count} times; only the latest {} of these runs are reported",
        MAX_RERUNS
    )]
    TooManyReruns {
        /// The stage.
        stage: Name,
        /// How often.
        count: u64,
    },
    /// The run from which the revisions came is not there.
    #[error(
        "the run of the pipeline above, from which its revision comes, cannot be had ({0}); repository and commit are left out"
    )]
    NoUpstream(String),
    /// What says of which run the revisions are is not there.
    #[error(
        "what the run was made from cannot be asked for ({0}); what the feed says of it is used as far as it is certain"
    )]
    NoRevisions(String),
    /// A run is looked at again.
    #[error("run {counter} cannot be read at present ({why}); it is tried again")]
    NotYet {
        /// Which run.
        counter: Counter,
        /// Why.
        why: String,
    },
    /// A run was looked at often enough.
    #[error("run {counter} could not be read for hours; it is left out until its documents can be read")]
    GivenUp {
        /// Which run.
        counter: Counter,
    },
    /// Entries of the list of pipelines cannot be used.
    #[error("{0} of the entries are left out, because their addresses are no pipelines' feeds")]
    UnfitList(u64),
}

impl Notice {
    /// What the notices of a kind have in common, to count them by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mapping(warning) => warning.kind(),
            Self::NoPipeline(_) => "no pipeline document",
            Self::NoStage { .. } => "no stage document",
            Self::NoJob { .. } => "no job document",
            Self::OtherDocument { .. } => "document about something else",
            Self::TooManyReruns { .. } => "too many re-runs",
            Self::NoUpstream(_) => "no upstream run",
            Self::NoRevisions(_) => "no revisions",
            Self::NotYet { .. } => "not yet read",
            Self::GivenUp { .. } => "given up",
            Self::UnfitList(_) => "unfit entry in the list",
        }
    }
}

/// The receiver of a round's progress: a progress bar, a log, or none (`()`).
pub trait Observer {
    /// So many pipelines were chosen.
    fn pipelines(&mut self, _count: usize) {}

    /// A pipeline begins.
    fn pipeline(&mut self, _pipeline: &Name) {}

    /// A page of a pipeline's feed was read.
    fn page(&mut self, _pipeline: &Name) {}

    /// A document is asked for.
    fn request(&mut self) {}

    /// A run was looked at, of which so many attempts had something new. None is usual.
    fn run(&mut self, _run: &PipelineLocator, _attempts: usize) {}

    /// Something that people should know about a pipeline, or about one of its runs.
    fn notice(&mut self, _pipeline: &Name, _run: Option<&PipelineLocator>, _notice: &Notice) {}

    /// A pipeline is not listed any more.
    fn gone(&mut self, _gone: &Gone) {}

    /// A pipeline was left before its end. The next round goes on there.
    fn failed(&mut self, _pipeline: &Name, _failure: &Failure) {}
}

impl Observer for () {}

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
