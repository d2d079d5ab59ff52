//! Reader and follower of a server's history: [`Engine`].
//!
//! Pure logic over four traits: a [`Source`](crate::client::Source) returns documents, a [`Sink`] takes what is new, a [`StateStore`] keeps
//! the place in each pipeline's history, an [`Observer`] follows the progress.
//!
//! - The feed only names the runs to read. A run is assembled from its documents alone, so its report does not depend on when and where in
//!   the feed it was found: a run followed live, read in parts or read years later is the same. A server of the new dialect forgets two
//!   facts, which only a follower knows: the start of a run whose first stage was run again since, and its revisions once a newer run
//!   exists. What was reported of them stays, since DX keeps the earliest start, and a value once set.
//! - The old dialect's feed is in the order of completion and is read until a known entry. The new dialect's is in the order of the
//!   pipeline's counter: new runs are read, runs that may change are polled one by one, and the whole feed is walked once a day.
//! - The state is saved after the sink took a run. A kill at any point loses nothing; a run that was taken and not yet saved is reported
//!   again, which upserts allow.
//! - A failed document pauses its own run only, and a failed pipeline no other. The server counts as down only if the list of pipelines
//!   gets no answer either.
//! - A run is reported once its own document and those of its stages were read. Other data (times of jobs, revisions from elsewhere) delays
//!   nothing and is added once available.

mod assemble;
mod engine;
mod failure;
mod look;
mod new_feed;
mod old_feed;
mod options;
mod patience;
mod revisions;
mod round;
mod seen;
mod session;
mod state;

pub use engine::Engine;
pub use failure::{Failure, SinkError, SyncError};
pub use options::Options;
pub use round::{Gone, News, Notice, Observer, Reported, Round, Sink, Tally};
pub use state::{MAX_STATE_BYTES, PipelineState, ServerState, StateError, StateStore};
