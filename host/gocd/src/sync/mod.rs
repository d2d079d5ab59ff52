//! Reading a server's history, and following it: [`Engine`].
//!
//! Pure logic over four traits: a [`Source`](crate::client::Source) gives documents, a [`Sink`] takes what is new, a [`StateStore`] keeps the
//! place in each pipeline's history, an [`Observer`] watches.
//!
//! - The feed only says which runs to look at. A run is put together from its documents alone, so that its report does not depend
//!   on when and where in the feed it was met: a run followed live, read in parts or filled in years later is the same. Two things a server
//!   forgets in the new dialect, and only someone who followed along knows: the start of a run whose first stage was run again since, and its
//!   revisions once a newer run is there. What was told of them stays, since DX keeps the earliest start, and a value once given.
//! - The old dialect's feed is in the order of completion: it is read until something known. The new dialect's is in the order of the pipeline's counter:
//!   of it new runs are read, runs of which more may come are asked after one by one, and once a day all of it is walked through.
//! - What was read is remembered after it was taken. A kill at any point loses nothing; what was taken and not yet remembered is reported again,
//!   which an upsert bears.
//! - One document's failure costs its own run a pause, and one pipeline's costs no other. Only where the list of pipelines is not answered
//!   either, the server is down.
//! - A run is reported once its own document and those of its stages were read. What else there is of it (times of jobs, revisions from
//!   elsewhere) withholds nothing, and is added when it can be had.

mod assemble;
mod engine;
mod failure;
mod look;
mod new_feed;
mod old_feed;
mod patience;
mod revisions;
mod round;
mod seen;
mod session;
mod state;

pub use engine::Engine;
pub use failure::{Failure, SinkError, SyncError};
pub use round::{Gone, News, Notice, Observer, Reported, Round, Sink, Tally};
pub use session::Options;
pub use state::{MAX_STATE_BYTES, PipelineState, ServerState, StateError, StateStore};
