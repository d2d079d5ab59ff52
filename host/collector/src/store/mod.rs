//! What the collector keeps: notifications as they came, and beside them the run that they fold into.
//!
//! [`Store`] is the whole of what the server asks of it. There is no SQL in it, and nothing that assumes a single process, so that a
//! replicated engine can stand behind it as well (DESIGN, section 7). It holds none of DX's rules: how notifications become a run is
//! a [`Fold`] that it is given when it is opened.
//!
//! - `contract`: the trait.
//! - `append`: one notification in, and what became of its run.
//! - `fold`: the rule that makes a run of notifications.
//! - `run`: a run as a list shows it, and with everything that is known of it.
//! - `list`: runs newest first, filtered, page by page.
//! - `pipeline`: pipelines, their counts, and how they did over time.
//! - `feed`: completed runs in the orders of the GoCD feeds.
//! - `forward`: what DX was not told yet.
//! - `upkeep`: retention, and runs that never finished.
//! - `error`: what can go wrong.
//! - `sqlite`: the implementation on one machine.

mod append;
mod contract;
mod error;
mod feed;
mod fold;
mod forward;
mod list;
mod pipeline;
mod run;
pub mod sqlite;
mod upkeep;

pub use append::{Append, Appended, Kept};
pub use contract::{Answer, Store};
pub use error::StoreError;
pub use feed::{FeedOrder, FeedQuery};
pub use fold::{Fold, FoldError, Folded};
pub use forward::{Backlog, DxAnswer, Forwarded, Forwarding, Waiting, WaitingQuery};
pub use list::{Cursor, CursorError, MAX_PAGE, Page, RunFilter, RunQuery};
pub use pipeline::{Bucket, PipelineQuery, PipelineSummary, StatsQuery, StatusCounts};
pub use run::{Job, Received, RunDetail, RunKey, RunSummary};
pub use upkeep::{Retention, StaleQuery};
