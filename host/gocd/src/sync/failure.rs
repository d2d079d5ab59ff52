//! The errors of a round and of a pipeline, and missing documents.

use thiserror::Error;

use super::patience::Without;
use super::state::StateError;
use crate::client::FetchError;
use crate::documents::Name;
use crate::read::ReadError;

/// The reason why a pipeline was left before its end. The others go on, and the next round continues there.
#[derive(Debug, Error)]
pub enum Failure {
    /// A document could not be fetched.
    #[error("{what}: {error}")]
    Fetch {
        /// The document's path below `/go`.
        what: String,
        /// The error.
        error: FetchError,
    },
    /// A document could not be read.
    #[error("{what}: {error}")]
    Read {
        /// The document's path below `/go`.
        what: String,
        /// The error.
        error: Box<ReadError>,
    },
    /// The pipeline is gone.
    #[error("the pipeline does not exist any more: it was renamed or deleted")]
    Vanished,
    /// The counters started again. The new runs would become parts of runs that were reported before.
    #[error(
        "its newest run is {found}, after {known} was seen: set up again? Nothing of it is reported until --restarted {pipeline}=ID names the \
         server for its new runs"
    )]
    Restarted {
        /// The pipeline.
        pipeline: Name,
        /// The highest counter seen before.
        known: u64,
        /// The highest counter when the restart was noticed.
        found: u64,
    },
    /// The feed's cursor does not move back.
    #[error(
        "the feed's page before {before} leads to {next}, which is not further back: a server or a proxy repeats itself"
    )]
    CursorStuck {
        /// The cursor of the page.
        before: u64,
        /// The next cursor in that page's link.
        next: u64,
    },
    /// The server sent a page twice.
    #[error("the feed's page before {before} is the one before it again: a server or a proxy repeats itself")]
    PageRepeated {
        /// The cursor of the page.
        before: u64,
    },
    /// A page has entries of another place in the feed than the requested one.
    #[error("the feed's page before {before} has run {found}: a server or a proxy repeats itself")]
    PageAstray {
        /// The cursor of the page.
        before: u64,
        /// A counter on it.
        found: u64,
    },
    /// The feed does not end.
    #[error("the feed has more than {0} pages; the next round goes on there")]
    TooManyPages(u64),
    /// Too many runs wait to be read again.
    #[error("{0} runs wait to be read again; more are read when these are done")]
    TooManyWaiting(usize),
    /// The saved state cannot be used.
    #[error("its saved state cannot be used: {0}")]
    State(#[source] StateError),
}

/// The reason why a round ended for all pipelines.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The list of pipelines could not be fetched, or the server does not accept the credentials any more.
    #[error("{what}: {error}")]
    Fetch {
        /// The document's path below `/go`.
        what: String,
        /// The error.
        error: FetchError,
    },
    /// The list of pipelines could not be read.
    #[error("{what}: {error}")]
    Read {
        /// The document's path below `/go`.
        what: String,
        /// The error.
        error: Box<ReadError>,
    },
    /// Neither of the addresses of GoCD servers has feeds.
    #[error(
        "the server has no feeds of Go 2.1 or later: check the address, which ends in /go, and the credentials (/api/pipelines.xml: {old}; \
         /api/feed/pipelines.xml: {new})"
    )]
    NotGocd {
        /// The older address's answer.
        old: Box<FetchError>,
        /// The newer address's answer.
        new: Box<FetchError>,
    },
    /// The requested feeds do not exist.
    #[error(
        "the server has no {kind} feeds ({what} does not exist): leave out --dialect to read those that it has, and check the address"
    )]
    NoSuchFeeds {
        /// `old` or `new`, the flag's value.
        kind: &'static str,
        /// The list's path below `/go`.
        what: String,
    },
    /// The server does not answer.
    #[error("the server stopped answering: {0}")]
    NoAnswer(#[source] Failure),
    /// The patterns match no pipeline.
    #[error(
        "no pipeline matches {patterns}: the server lists {listed} that this user may view; check --pipelines and the user's permissions"
    )]
    NoneChosen {
        /// The patterns.
        patterns: String,
        /// The number of listed pipelines.
        listed: usize,
    },
    /// A run could not be recorded.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The state could not be saved.
    #[error("the place in the history cannot be saved: {0}")]
    State(#[from] StateError),
}

/// The sink could not keep a run.
#[derive(Debug, Error)]
#[error("a run of GoCD could not be recorded: {0}")]
pub struct SinkError(pub String);

/// The reason why a pipeline, or the round, is left.
pub enum Halt {
    /// The caller stopped the round.
    Stopped,
    /// A failure of all pipelines.
    Round(SyncError),
    /// A failure of this pipeline.
    Pipeline(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Pipeline(failure)
    }
}

/// Returns the failure of one part of a pipeline's round as a value, for the other parts to go on.
pub fn tolerated(done: Result<(), Halt>) -> Result<Option<Failure>, Halt> {
    match done {
        Ok(()) => Ok(None),
        Err(Halt::Pipeline(failure)) => Ok(Some(failure)),
        Err(halt) => Err(halt),
    }
}

/// A missing or unreadable document; the server itself works.
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
    /// Returns true if the server answered that it has no such document. The old dialect answers so for any failure too.
    pub fn is_missing(&self) -> bool {
        matches!(self.why, Why::Fetch(FetchError::NotFound))
    }

    /// Returns true if the server failed, as the new dialect does for unknown stages, or gave no answer.
    pub fn may_pass(&self) -> bool {
        matches!(&self.why, Why::Fetch(error) if error.is_transient())
    }

    /// Returns true if a run without these documents can do without this one.
    pub fn is_done_without(&self, without: Without) -> bool {
        let least = if self.is_missing() {
            Without::Missing
        } else {
            Without::Unreadable
        };
        without >= least
    }

    /// Returns true if the document may still come: one that is unknown to the server for long does not, one that cannot be read may.
    pub fn may_come(&self, without: Without) -> bool {
        !(self.is_missing() && self.is_done_without(without))
    }

    /// Records that a run lacks this document. Of several it keeps one that may come later than others.
    pub fn want(self, wanting: &mut Option<Self>) {
        if wanting.as_ref().is_none_or(Self::is_missing) {
            *wanting = Some(self);
        }
    }

    /// Returns true if this may be the answer of a server of the other dialect to an unknown address.
    pub fn is_other_dialect(&self) -> bool {
        match &self.why {
            Why::Fetch(error) => {
                !matches!(error, FetchError::NoPermission | FetchError::TooLarge(_)) && !error.is_transient()
            }
            Why::Read(_) => false,
        }
    }

    /// Returns the reason, without the document's path.
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

/// Returns true if there was no answer, or only a proxy's. A server that fails for one document answers 500.
pub fn is_no_answer(error: &FetchError) -> bool {
    matches!(error, FetchError::Unavailable { status, .. } if *status != Some(500))
}
