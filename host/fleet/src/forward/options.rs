//! Destination and rate of a forwarder.

use pipefold::dx::ClientOptions;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a forwarder.
#[derive(Clone, Debug)]
pub struct ForwarderOptions {
    /// DX.
    pub dx: ClientOptions,
    /// The file with its token. It is read again for each request: a token may be replaced meanwhile.
    pub token_file: PathBuf,
    /// The most requests to DX a second, of this forwarder. A tenth of a second's may go at once.
    pub per_second: f64,
    /// Requests under way at a time.
    pub concurrency: usize,
    /// For how long a run's first upsert waits for others, to go in one request with them.
    pub window: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// The first pause of one run after a failure; each further one is twice as long, up to [`ForwarderOptions::longest_pause`].
    pub first_pause: Duration,
    /// The longest pause, unless DX asks for a longer one.
    pub longest_pause: Duration,
}

impl ForwarderOptions {
    /// With the usual numbers.
    #[must_use]
    pub fn new(dx: ClientOptions, token_file: PathBuf) -> Self {
        Self {
            dx,
            token_file,
            // As a collector's: DX does not document a limit, and ten runs a second are 860,000 a day.
            per_second: 10.0,
            // With answers after 50 ms it is three hundred a second; more connections are no kindness to DX.
            concurrency: 16,
            // Steps of a script follow one another within it, and a delay of two seconds is not noticed in DX.
            window: Duration::from_secs(2),
            // Shorter than the queue waits before it gives a message to another forwarder.
            timeout: Duration::from_secs(20),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
        }
    }
}
