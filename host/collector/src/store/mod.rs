//! The store: notifications as they arrived, and beside them the run that they fold into.
//!
//! [`Store`] is the server's whole interface to it. There is no SQL in it, and nothing that assumes a single process, so that a replicated
//! engine can implement it as well. It has none of DX's rules: the [`Fold`] of notifications into a run is given when a store is opened.
//!
//! - `job`: a job of a run.
//! - `run`: a run, what is appended to it, its fold, what DX knows of it, and the errors of a store.
//! - `query`: the queries, and their results. `statistics`: those of statistics.
//! - `sqlite`: the implementation on one machine.

mod job;
mod query;
mod run;
pub mod sqlite;
mod statistics;

pub use job::{KeptJob, NewJob, stamp};
pub use query::{
    Cursor, CursorError, FeedOrder, FeedQuery, Field, MAX_PAGE, Names, Page, PipelineQuery, PipelineSummary, Retention,
    RunFilter, RunQuery, StaleQuery, StatusCounts, Total, bound,
};
pub use run::{
    Append, Appended, Backlog, DxAnswer, Fold, FoldError, Forwarded, Forwarding, JOBS_AT_ONCE, JobForwarded,
    JobOutcome, Kept, Outgoing, Received, RunDetail, RunKey, RunSummary, StoreError, Waiting, WaitingQuery,
};
pub use statistics::{
    Branch, Bucket, Failing, Figures, FlakyCommit, History, HistoryQuery, OverviewQuery, PipelineNow, Span,
    StepFigures, StepHistory, factor,
};

use crate::access::Access;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// A later answer of a store. It needs no particular runtime; dropping it gives up the answer, not the action.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Durable notifications, and runs in the orders in which people and programs query them.
///
/// No method blocks: a request without room is refused with [`StoreError::Busy`]. An id or a counter is never given out twice.
pub trait Store: Send + Sync {
    /// Stores notifications and jobs of a run. `Ok` means that all are on disk, and that every later query includes them.
    ///
    /// # Errors
    /// [`StoreError::NoName`], [`StoreError::Foreign`], [`StoreError::HistoryFull`], [`StoreError::NoRun`], [`StoreError::JobsFull`] and
    /// [`StoreError::Refused`] concern the request, all others the store; after any of them none was stored. Only if the machine loses its power while the answer is being prepared they
    /// may have been.
    fn append(&self, append: Append) -> Answer<Appended>;

    /// Returns runs, newest first.
    ///
    /// # Errors
    /// About the store.
    fn runs(&self, query: RunQuery) -> Answer<Page>;

    /// Returns the names that the newest runs have, of those that may be seen.
    ///
    /// # Errors
    /// About the store.
    fn names(&self, access: Access) -> Answer<Names>;

    /// Returns one run as in lists; `None` if there is no such run. The caller checks its access.
    ///
    /// # Errors
    /// About the store.
    fn find(&self, key: RunKey) -> Answer<Option<RunSummary>>;

    /// Returns one run with all its notifications and jobs; `None` if there is no such run. The caller checks its access.
    ///
    /// # Errors
    /// About the store.
    fn run(&self, key: RunKey) -> Answer<Option<RunDetail>>;

    /// Returns a run as it is sent to DX, without the notifications and jobs that DX has; `None` if there is no such run.
    ///
    /// # Errors
    /// About the store.
    fn outgoing(&self, id: u64) -> Answer<Option<Outgoing>>;

    /// Returns pipelines by name.
    ///
    /// # Errors
    /// About the store.
    fn pipelines(&self, query: PipelineQuery) -> Answer<Vec<PipelineSummary>>;

    /// Returns one pipeline by its name, case-sensitive; `None` if there is none. The caller checks its access.
    ///
    /// # Errors
    /// About the store.
    fn pipeline(&self, name: String) -> Answer<Option<PipelineSummary>>;

    /// Returns the state of every pipeline that has runs, by name.
    ///
    /// # Errors
    /// About the store.
    fn overview(&self, query: OverviewQuery) -> Answer<Vec<Arc<PipelineNow>>>;

    /// Returns the history of a pipeline; `None` if it has no run. The caller checks its access.
    ///
    /// # Errors
    /// About the store.
    fn history(&self, query: HistoryQuery) -> Answer<Option<Arc<History>>>;

    /// Returns those of the runs with these ids that failed while another run of the same commit in the same pipeline passed, or the other
    /// way round.
    ///
    /// # Errors
    /// About the store.
    fn flaky(&self, runs: Vec<u64>) -> Answer<BTreeSet<u64>>;

    /// Returns the latest runs of the same commit in the same pipeline, oldest first, with the run itself. A run without a commit has none.
    ///
    /// # Errors
    /// About the store.
    fn attempts(&self, run: u64) -> Answer<Vec<RunSummary>>;

    /// Returns completed runs of a pipeline, as a page of a GoCD stage feed. An unknown pipeline has none.
    ///
    /// # Errors
    /// About the store.
    fn completed(&self, query: FeedQuery) -> Answer<Vec<RunSummary>>;

    /// Returns runs that DX does not have completely, the one that has waited longest first.
    ///
    /// # Errors
    /// About the store.
    fn waiting(&self, query: WaitingQuery) -> Answer<Vec<Waiting>>;

    /// Returns the number of runs that [wait](Store::waiting), and the start of the longest wait.
    ///
    /// # Errors
    /// About the store.
    fn backlog(&self) -> Answer<Backlog>;

    /// Records that DX has a run's first notifications. An unknown run, removed meanwhile, is no error.
    ///
    /// # Errors
    /// About the store.
    fn forwarded(&self, forwarded: Forwarded) -> Answer<()>;

    /// Records what DX answered to jobs of a run. Unknown ones, removed meanwhile, are no error.
    ///
    /// # Errors
    /// About the store.
    fn jobs_forwarded(&self, run: u64, jobs: Vec<JobForwarded>) -> Answer<()>;

    /// Returns runs that started and never finished, by id.
    ///
    /// # Errors
    /// About the store.
    fn stale(&self, query: StaleQuery) -> Answer<Vec<RunSummary>>;

    /// Removes old runs, and returns their number. Appends go on meanwhile. Dropping the answer ends it after a few more runs.
    ///
    /// # Errors
    /// About the store; runs that were removed before it stay removed.
    fn retain(&self, retention: Retention) -> Answer<u64>;

    /// Removes runs with all that is stored of them, and returns their number. Unknown ids, removed meanwhile, are no error.
    ///
    /// # Errors
    /// About the store; runs that were removed before it stay removed.
    fn remove(&self, runs: Vec<u64>) -> Answer<u64>;

    /// Checks that a notification could be stored now, by a write that changes nothing.
    ///
    /// # Errors
    /// About the store.
    fn ready(&self) -> Answer<()>;

    /// Writes everything, as it is at this moment, to a new file. Appends go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::BackupExists`] when there is such a file; otherwise about the store or the file. No half-written file of that name
    /// is left behind.
    fn backup(&self, to: PathBuf) -> Answer<()>;
}
