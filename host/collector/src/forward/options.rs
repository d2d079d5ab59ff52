//! Where to forward to, and how fast.

use pipefold::dx::Client;
use std::path::PathBuf;
use std::time::Duration;

/// What forwarding needs.
#[derive(Debug)]
pub struct ForwardOptions {
    /// DX.
    pub client: Client,
    /// The file with its token. It is read again for each request: a token may be replaced while the server runs.
    pub token_file: PathBuf,
    /// The most requests a second; from 0.1 to 1,000.
    pub per_second: f64,
    /// How long a request may take.
    pub timeout: Duration,
    /// The first pause after a failure; each further one is twice as long, up to [`ForwardOptions::longest_pause`].
    pub first_pause: Duration,
    /// The longest pause, unless DX asks for a longer one.
    pub longest_pause: Duration,
    /// After how long an unfinished run of which nothing is heard is told to DX as cancelled; `None` for never. DX does not take that back
    /// when the run succeeds later.
    pub stale_after: Option<Duration>,
}

impl ForwardOptions {
    /// With the usual numbers.
    #[must_use]
    pub fn new(client: Client, token_file: PathBuf) -> Self {
        Self {
            client,
            token_file,
            // DX does not document a limit. Ten runs a second are 860,000 a day, and a day's outage of a large installation is caught up
            // within hours.
            per_second: 10.0,
            timeout: Duration::from_secs(20),
            first_pause: Duration::from_secs(1),
            // An outage that ends is noticed within it.
            longest_pause: Duration::from_mins(5),
            stale_after: None,
        }
    }
}
