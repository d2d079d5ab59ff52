//! What people should know of what was read.

use thiserror::Error;

use crate::documents::{Counter, Name};
use crate::mapping::Warning;

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
        super::assemble::MAX_RERUNS
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
