//! Upserts out of the queue, folded by run and sent to DX.
//!
//! Any number of forwarders share the stream's consumer. Each takes the messages that arrive, keeps the upserts of a run together for a
//! moment, folds them through the policies and the component, and sends the result to DX. Only DX's `ok`, or the acknowledgement of the
//! stream of refused upserts, removes a message from the queue. Everything else may happen twice, late or in parts: DX's rule allows that.
//!
//! - `pull`: requests to the queue for messages, and the inbox that receives them. `message`: one upsert, its acknowledgement, its memory.
//! - `held`: the upserts of each run until they are due. `upserts`: the rest of a run's upserts in the stream, and the fold of them all.
//! - `send`: one request to DX for a run, and the handling of its answer. `jobs`: the same for a job.
//! - `sweep`: messages that a stream has kept by mistake. `forwarder`: the loop over all of these.

mod forwarder;
mod held;
mod jobs;
mod message;
mod pull;
mod send;
mod sweep;
mod upserts;

pub use forwarder::{ForwardError, Forwarder};

use pipefold::dx::ClientOptions;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a forwarder.
#[derive(Clone, Debug)]
pub struct ForwarderOptions {
    /// The connection to DX.
    pub dx: ClientOptions,
    /// The file with DX's token. It is read again for each request, so that the token can be replaced.
    pub token_file: PathBuf,
    /// The most requests to DX a second from this forwarder. A tenth of them may be sent at once.
    pub per_second: f64,
    /// The most requests under way at a time.
    pub concurrency: usize,
    /// The time that a run's first upsert waits for others, to be sent in one request with them.
    pub window: Duration,
    /// The time limit of a request.
    pub timeout: Duration,
    /// The first pause of one run after a failure; each further one is twice as long, up to [`ForwarderOptions::longest_pause`].
    pub first_pause: Duration,
    /// The longest pause, unless DX asks for a longer one.
    pub longest_pause: Duration,
}

impl ForwarderOptions {
    /// Options with default numbers.
    #[must_use]
    pub fn new(dx: ClientOptions, token_file: PathBuf) -> Self {
        Self {
            dx,
            token_file,
            // As a collector's: DX does not document a limit, and ten runs a second are 860,000 a day.
            per_second: 10.0,
            // With answers after 50 ms that is three hundred a second; more connections would burden DX.
            concurrency: 16,
            // Steps of a script follow one another within it, and a delay of two seconds is not noticed in DX.
            window: Duration::from_secs(2),
            // Shorter than the time after which the queue redelivers a message.
            timeout: Duration::from_secs(20),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
        }
    }
}
