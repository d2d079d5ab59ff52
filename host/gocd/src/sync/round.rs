//! The output of a round: its result and notices, the observer of its progress, and the sink of what is new of a run.

use std::collections::BTreeMap;

use pipefold_sandbox::Notification;
use thiserror::Error;

use super::failure::{Failure, SinkError};
use super::seen::hash;
use crate::Dialect;
use crate::documents::{Counter, Name, PipelineLocator};
use crate::mapping::{Attempt, Warning};

/// The most runs of one stage within a pipeline's run that are requested. People re-run a stage some dozen times at most.
pub const MAX_RERUNS: u64 = 500;

/// The sums of a round.
#[derive(Debug)]
pub struct Round {
    /// The server's dialect.
    pub dialect: Dialect,
    /// The number of chosen pipelines.
    pub pipelines: usize,
    /// Pipelines that were left before their end, with the reason. The next round goes on with them.
    pub failed: Vec<(Name, Failure)>,
    /// Pipelines that are not listed any more: renamed, deleted, or hidden from the user. Each is reported once.
    pub gone: Vec<Gone>,
    /// Patterns that match no listed pipeline, while others do.
    pub unfitted: Vec<String>,
    /// Requested documents, without retries.
    pub requests: u64,
    /// Pages of feeds read.
    pub pages: u64,
    /// Runs that were read, each as often as it was.
    pub looked_at: u64,
    /// Runs with something new.
    pub runs: u64,
    /// Attempts with something new.
    pub attempts: u64,
    /// Notifications given to the sink.
    pub notifications: u64,
    /// The notices, by [`Notice::kind`].
    pub notices: BTreeMap<&'static str, Tally>,
    /// Links in feeds to other hosts than the server's: it does not know its own name, or they lead elsewhere. None was followed.
    pub foreign_links: u64,
    /// True if it was stopped before its end.
    pub stopped: bool,
}

/// A pipeline that is not listed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The pipeline's name.
    pub pipeline: Name,
    /// Its runs that had not ended when they were read last: they stay unfinished in DX.
    pub under_way: Vec<u64>,
}

/// Notices of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Their number.
    pub count: u64,
    /// The first one, with the pipeline or run.
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

/// An event that stopped nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Notice {
    /// A fact that a run's documents lack.
    #[error(transparent)]
    Mapping(#[from] Warning),
    /// The run's own document is missing or unreadable.
    #[error("the run's own document cannot be read ({0}); only the feed's entries of its stages are used")]
    NoPipeline(String),
    /// A stage's document is missing or unreadable.
    #[error("the document of stage {stage}'s run {counter} cannot be read ({why}); the run is reported without it")]
    NoStage {
        /// The stage.
        stage: String,
        /// The stage's counter.
        counter: u64,
        /// The reason.
        why: String,
    },
    /// A job's document is missing or unreadable.
    #[error("a job's document of stage {stage} cannot be read ({why}); its times are not used")]
    NoJob {
        /// The stage.
        stage: Name,
        /// The reason.
        why: String,
    },
    /// A document is about another run.
    #[error("a document is about {found} instead of {asked}; it is not used")]
    OtherDocument {
        /// The requested document.
        asked: String,
        /// The received one.
        found: String,
    },
    /// A stage was run more often than is read.
    #[error(
        "stage {stage} was run {count} times; only the latest {} of these runs are reported",
        MAX_RERUNS
    )]
    TooManyReruns {
        /// The stage.
        stage: Name,
        /// The number of its runs.
        count: u64,
    },
    /// The upstream run with the revisions is missing.
    #[error(
        "the upstream run, from which its revision comes, cannot be read ({0}); repository and commit are left out"
    )]
    NoUpstream(String),
    /// The true revisions are missing.
    #[error("the run's revisions cannot be requested ({0}); those of its document are used where they are certain")]
    NoRevisions(String),
    /// A run is read again later.
    #[error("run {counter} cannot be read at present ({why}); it is retried")]
    NotYet {
        /// The run's counter.
        counter: Counter,
        /// The reason.
        why: String,
    },
    /// A run is left out after many tries.
    #[error("run {counter} could not be read for hours; it is left out until its documents can be read")]
    GivenUp {
        /// The run's counter.
        counter: Counter,
    },
    /// Entries of the list of pipelines cannot be used.
    #[error("{0} of the entries are left out: their addresses are not those of pipelines' feeds")]
    UnfitList(u64),
}

impl Notice {
    /// The kind of the notice, to count by.
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
    /// `count` pipelines were chosen.
    fn pipelines(&mut self, _count: usize) {}

    /// A pipeline's part of the round starts.
    fn pipeline(&mut self, _pipeline: &Name) {}

    /// A page of a pipeline's feed was read.
    fn page(&mut self, _pipeline: &Name) {}

    /// A document is requested.
    fn request(&mut self) {}

    /// A run was read, and this many of its attempts had something new. 0 is usual.
    fn run(&mut self, _run: &PipelineLocator, _attempts: usize) {}

    /// A notice about a pipeline, or about one of its runs.
    fn notice(&mut self, _pipeline: &Name, _run: Option<&PipelineLocator>, _notice: &Notice) {}

    /// A pipeline is not listed any more.
    fn gone(&mut self, _gone: &Gone) {}

    /// A pipeline was left before its end. The next round continues there.
    fn failed(&mut self, _pipeline: &Name, _failure: &Failure) {}
}

impl Observer for () {}

/// The receiver of what is new of pipelines' runs: the spool of the reporter, or a test.
pub trait Sink {
    /// Takes what is new of one pipeline's run, all of it or nothing, durably: after `Ok` it is on disk. A run may be reported again, after
    /// a kill or when its documents changed; upserts repeat harmlessly.
    ///
    /// # Errors
    ///
    /// [`SinkError`] ends the round; the run is reported again in the next.
    fn take(&mut self, run: &Reported) -> Result<(), SinkError>;
}

/// The new parts of a pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The run, with the pipeline's name as the server stores it.
    pub run: PipelineLocator,
    /// Its attempts with something new, the first first; at least one.
    pub attempts: Vec<News>,
    /// The notices about its documents, also earlier ones.
    pub notices: Vec<Notice>,
}

/// The new parts of an attempt: all of them are to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The attempt's number, from 1.
    pub number: u32,
    /// The reference id in DX.
    pub reference_id: String,
    /// For the hook `pipeline-start`. `None` if it was reported before, or there is an end, which includes it.
    pub start: Option<Notification>,
    /// For the hook `step`.
    pub steps: Vec<Notification>,
    /// For the hook `pipeline-finish`. `None` if it was reported before, or the attempt has not ended.
    pub finish: Option<Notification>,
}

/// Returns the notifications of these attempts that were not reported yet, and the hashes of all of them.
pub fn news(attempts: Vec<Attempt>, reported: &[u64]) -> (Vec<News>, Vec<u64>) {
    let mut names = reported.to_vec();
    let mut news = Vec::new();
    for attempt in attempts {
        let Attempt {
            number,
            reference_id,
            start,
            steps,
            finish,
        } = attempt;
        // The same content at another hook is another notification.
        let mut is_new = |hook: &str, notification: &_| {
            let name = hash(&(hook, notification));
            let is_new = !names.contains(&name);
            if is_new {
                names.push(name);
            }
            is_new
        };
        // An end includes all that the start has.
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
