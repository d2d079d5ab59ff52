//! The errors of a round and of a pipeline, and documents that cannot be had.

use thiserror::Error;

use super::patience::Without;
use super::state::StateError;
use crate::client::FetchError;
use crate::documents::Name;
use crate::read::ReadError;

/// Why a pipeline was left before its end. The others go on, and the next round takes it up where it was left.
#[derive(Debug, Error)]
pub enum Failure {
    /// A document could not be had.
    #[error("{what}: {error}")]
    Fetch {
        /// The document's path below `/go`.
        what: String,
        /// Why.
        error: FetchError,
    },
    /// A document could not be read.
    #[error("{what}: {error}")]
    Read {
        /// The document's path below `/go`.
        what: String,
        /// Why.
        error: Box<ReadError>,
    },
    /// The pipeline is no longer there.
    #[error("the pipeline is not there any more: it was renamed or deleted")]
    Vanished,
    /// The counters began again. What is there now would become parts of the runs that were reported before.
    #[error(
        "its newest run is {found}, after {known} was seen: set up again? Nothing of it is reported until --restarted {pipeline}=ID names the \
         server for its new runs"
    )]
    Restarted {
        /// The pipeline.
        pipeline: Name,
        /// The highest counter seen before.
        known: u64,
        /// The highest one when that was noticed.
        found: u64,
    },
    /// The feed's cursor does not lead back.
    #[error(
        "the feed's page before {before} leads to {next}, which is not further back: a server or a proxy repeats itself"
    )]
    CursorStuck {
        /// The cursor of the page.
        before: u64,
        /// The one that it names next.
        next: u64,
    },
    /// A page was given twice.
    #[error("the feed's page before {before} is the one before it again: a server or a proxy repeats itself")]
    PageRepeated {
        /// The cursor of the page.
        before: u64,
    },
    /// A page has entries of another place in the feed than was asked for.
    #[error("the feed's page before {before} has run {found}: a server or a proxy repeats itself")]
    PageAstray {
        /// The cursor of the page.
        before: u64,
        /// A counter on it.
        found: u64,
    },
    /// The feed goes on and on.
    #[error("the feed has more than {0} pages; the next round goes on there")]
    TooManyPages(u64),
    /// Too many runs wait to be looked at again.
    #[error("{0} runs wait to be looked at again; more are read when these are done")]
    TooManyWaiting(usize),
    /// What was saved of it cannot be used.
    #[error("what was saved of it cannot be used: {0}")]
    State(#[source] StateError),
}

/// Why a round ended for all pipelines.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The list of pipelines could not be had, or the server takes the credentials no more.
    #[error("{what}: {error}")]
    Fetch {
        /// The document's path below `/go`.
        what: String,
        /// Why.
        error: FetchError,
    },
    /// The list of pipelines could not be read.
    #[error("{what}: {error}")]
    Read {
        /// The document's path below `/go`.
        what: String,
        /// Why.
        error: Box<ReadError>,
    },
    /// Neither of the addresses that GoCD servers have is there.
    #[error(
        "no feeds of Go 2.1 or later are there: check the address, which ends in /go, and the credentials (/api/pipelines.xml: {old}; \
         /api/feed/pipelines.xml: {new})"
    )]
    NotGocd {
        /// What the older address gave.
        old: Box<FetchError>,
        /// What the newer address gave.
        new: Box<FetchError>,
    },
    /// The feeds that were asked for are not there.
    #[error(
        "the server has no {kind} feeds ({what} is not there): leave out --dialect to read those that it has, and check the address"
    )]
    NoSuchFeeds {
        /// `old` or `new`, as the flag has it.
        kind: &'static str,
        /// The list's path below `/go`.
        what: String,
    },
    /// The server does not answer.
    #[error("the server stopped answering: {0}")]
    NoAnswer(#[source] Failure),
    /// The patterns fit no pipeline.
    #[error(
        "no pipeline fits {patterns}: the server lists {listed} that this user may view; check --pipelines and the user's permissions"
    )]
    NoneChosen {
        /// The patterns.
        patterns: String,
        /// How many pipelines are listed.
        listed: usize,
    },
    /// A run could not be recorded.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// How far was read could not be saved.
    #[error("how far the history was read cannot be saved: {0}")]
    State(#[from] StateError),
}

/// A run could not be kept.
#[derive(Debug, Error)]
#[error("what GoCD said of a run could not be recorded: {0}")]
pub struct SinkError(pub String);

/// Why a pipeline, or the round, is left.
pub enum Halt {
    /// It was stopped.
    Stopped,
    /// For all pipelines.
    Round(SyncError),
    /// For this one.
    Pipeline(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Pipeline(failure)
    }
}

/// What one part of a pipeline's round failed with, for the others to go on.
pub fn tolerated(done: Result<(), Halt>) -> Result<Option<Failure>, Halt> {
    match done {
        Ok(()) => Ok(None),
        Err(Halt::Pipeline(failure)) => Ok(Some(failure)),
        Err(halt) => Err(halt),
    }
}

/// A document that is not there, or not to be read; the server as such is well.
#[derive(Debug)]
pub struct Lack {
    /// The document's path below `/go`.
    pub what: String,
    pub why: Why,
}

#[derive(Debug)]
pub enum Why {
    Fetch(FetchError),
    Read(Box<ReadError>),
}

impl Lack {
    /// Whether the server says that it knows no such document. The old dialect says so of whatever it fails over too.
    pub fn is_missing(&self) -> bool {
        matches!(self.why, Why::Fetch(FetchError::NotFound))
    }

    /// Whether the server failed over it, as the new dialect does over stages that it does not know, or gave no answer.
    pub fn may_pass(&self) -> bool {
        matches!(&self.why, Why::Fetch(error) if error.is_transient())
    }

    /// Whether a look that does without so much does without this.
    pub fn is_done_without(&self, without: Without) -> bool {
        let least = if self.is_missing() {
            Without::Missing
        } else {
            Without::Unreadable
        };
        without >= least
    }

    /// Remembers that a run lacks this. Of several it is one that may come later than others.
    pub fn want(self, wanting: &mut Option<Self>) {
        if wanting.as_ref().is_none_or(Self::is_missing) {
            *wanting = Some(self);
        }
    }

    /// Whether a server of the other dialect may have said it to an address that it does not have.
    pub fn is_other_dialect(&self) -> bool {
        match &self.why {
            Why::Fetch(error) => {
                !matches!(error, FetchError::NoPermission | FetchError::TooLarge(_)) && !error.is_transient()
            }
            Why::Read(_) => false,
        }
    }

    /// Why, without what.
    pub fn why(&self) -> String {
        match &self.why {
            Why::Fetch(error) => error.to_string(),
            Why::Read(error) => error.to_string(),
        }
    }

    pub fn into_failure(self) -> Failure {
        match self.why {
            Why::Fetch(error) => Failure::Fetch { what: self.what, error },
            Why::Read(error) => Failure::Read { what: self.what, error },
        }
    }

    pub fn into_sync_error(self) -> SyncError {
        match self.why {
            Why::Fetch(error) => SyncError::Fetch { what: self.what, error },
            Why::Read(error) => SyncError::Read { what: self.what, error },
        }
    }

    pub fn into_fetch_error(self) -> Result<FetchError, Self> {
        match self.why {
            Why::Fetch(error) => Ok(error),
            why @ Why::Read(_) => Err(Self { why, ..self }),
        }
    }
}

/// Whether there was no answer, or only a proxy's. A server that fails over one document says 500.
pub fn is_no_answer(error: &FetchError) -> bool {
    matches!(error, FetchError::Unavailable { status, .. } if *status != Some(500))
}
