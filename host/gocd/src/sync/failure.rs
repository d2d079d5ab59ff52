//! Why a pipeline, or a round, did not get to its end.

use thiserror::Error;

use super::sink::SinkError;
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
