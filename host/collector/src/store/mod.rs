//! What the collector keeps: notifications as they came, and beside them the run that they fold into.
//!
//! [`Store`] is the whole of what the server asks of it. There is no SQL in it, and nothing that assumes a single process, so that a
//! replicated engine can stand behind it as well (DESIGN, section 7). It holds none of DX's rules: how notifications become a run is
//! a [`Fold`] that it is given when it is opened.
//!
//! - `run`: a run, what is appended to it, its fold, what DX knows of it, and the errors of a store.
//! - `query`: what can be asked, and the answers.
//! - `sqlite`: the implementation on one machine.

mod query;
mod run;
pub mod sqlite;

pub use query::{
    Bucket, Cursor, CursorError, FeedOrder, FeedQuery, MAX_PAGE, Page, PipelineQuery, PipelineSummary, Retention,
    RunFilter, RunQuery, StaleQuery, StatsQuery, StatusCounts,
};
pub use run::{
    Append, Appended, Backlog, DxAnswer, Fold, FoldError, Folded, Forwarded, Forwarding, Job, Kept, Outgoing, Received,
    RunDetail, RunKey, RunSummary, StoreError, Waiting, WaitingQuery,
};

use std::path::PathBuf;
use std::pin::Pin;

/// An answer of a store, which comes later. It needs no particular runtime; dropping it gives up the answer, not what was asked for.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Notifications, durable; runs, in the orders that people and programs ask for them.
///
/// No method blocks: what cannot be taken at once is refused with [`StoreError::Busy`]. An id or a counter that was once given out is
/// never given to anything else.
pub trait Store: Send + Sync {
    /// Keeps notifications of a run. `Ok` means that all are on disk, and that every question asked from now on knows of them.
    ///
    /// # Errors
    /// [`StoreError::NoName`], [`StoreError::Foreign`], [`StoreError::HistoryFull`] and [`StoreError::Refused`] are about the notifications,
    /// all others about the store; after any of them none was kept. Only when the machine loses its power while the answer is being prepared
    /// may they have been.
    fn append(&self, append: Append) -> Answer<Appended>;

    /// Runs, newest first.
    ///
    /// # Errors
    /// About the store.
    fn runs(&self, query: RunQuery) -> Answer<Page>;

    /// One run with all its notifications; `None` when there is no such run. The caller checks that it may be seen.
    ///
    /// # Errors
    /// About the store.
    fn run(&self, key: RunKey) -> Answer<Option<RunDetail>>;

    /// A run as it is sent to DX, without the notifications that DX has; `None` when there is no such run.
    ///
    /// # Errors
    /// About the store.
    fn outgoing(&self, id: u64) -> Answer<Option<Outgoing>>;

    /// Pipelines by name.
    ///
    /// # Errors
    /// About the store.
    fn pipelines(&self, query: PipelineQuery) -> Answer<Vec<PipelineSummary>>;

    /// One pipeline by its name, as it is spelt; `None` when there is none, or never was one. The caller checks that it may be seen.
    ///
    /// # Errors
    /// About the store.
    fn pipeline(&self, name: String) -> Answer<Option<PipelineSummary>>;

    /// Statistics of a pipeline over time, oldest first; spans without a run are left out. An unknown pipeline has none.
    ///
    /// # Errors
    /// About the store.
    fn stats(&self, query: StatsQuery) -> Answer<Vec<Bucket>>;

    /// Completed runs of a pipeline, as a page of a GoCD stage feed. An unknown pipeline has none.
    ///
    /// # Errors
    /// About the store.
    fn completed(&self, query: FeedQuery) -> Answer<Vec<RunSummary>>;

    /// Runs of which DX does not know everything, the one that has waited longest first.
    ///
    /// # Errors
    /// About the store.
    fn waiting(&self, query: WaitingQuery) -> Answer<Vec<Waiting>>;

    /// Returns how many runs [wait](Store::waiting), and since when.
    ///
    /// # Errors
    /// About the store.
    fn backlog(&self) -> Answer<Backlog>;

    /// Notes that DX has a run's first notifications. An unknown run, removed meanwhile, is no error.
    ///
    /// # Errors
    /// About the store.
    fn forwarded(&self, forwarded: Forwarded) -> Answer<()>;

    /// Runs that started and never finished, by id.
    ///
    /// # Errors
    /// About the store.
    fn stale(&self, query: StaleQuery) -> Answer<Vec<RunSummary>>;

    /// Removes old runs, and says how many. Appends go on meanwhile. Dropping the answer ends it after a few more runs.
    ///
    /// # Errors
    /// About the store; what was removed before it stays removed.
    fn retain(&self, retention: Retention) -> Answer<u64>;

    /// Returns whether a notification could be kept now: writes something that changes nothing.
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
