//! Where to forward to, and how fast.

use pipefold::Outlet;
use pipefold::dx::{Client, Outcome};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The destination of forwarding.
pub enum ForwardTo {
    /// At DX.
    Dx {
        /// DX.
        client: Client,
        /// The file with its token. It is read again for each request: a token may be replaced while the server runs.
        token_file: PathBuf,
    },
    /// In a queue, from which others deliver to DX.
    Queue(Arc<dyn Outlet>),
}

/// Settings of forwarding.
#[derive(Debug)]
pub struct ForwardOptions {
    /// The destination.
    pub to: ForwardTo,
    /// The most requests a second; from 0.1 to 1,000.
    pub per_second: f64,
    /// The longest time of a request.
    pub timeout: Duration,
    /// The first pause after a failure; each further one is twice as long, up to [`ForwardOptions::longest_pause`].
    pub first_pause: Duration,
    /// The longest pause, unless DX asks for a longer one.
    pub longest_pause: Duration,
    /// Time without activity after which an unfinished run is sent to DX as cancelled; `None` for never. DX does not take that back
    /// when the run succeeds later.
    pub stale_after: Option<Duration>,
}

impl ForwardOptions {
    /// With the usual numbers.
    #[must_use]
    pub fn new(client: Client, token_file: PathBuf) -> Self {
        Self {
            to: ForwardTo::Dx { client, token_file },
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

    /// Into a queue, with the usual numbers.
    #[must_use]
    pub fn into_queue(outlet: Arc<dyn Outlet>) -> Self {
        Self {
            to: ForwardTo::Queue(outlet),
            // As fast as it goes: it is the queue's forwarders who spare DX.
            per_second: 1000.0,
            timeout: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            // A cluster that chooses a new leader is back within seconds.
            longest_pause: Duration::from_secs(15),
            stale_after: None,
        }
    }
}

impl ForwardTo {
    /// Describes the outcome for a run, in one line.
    pub(super) fn words(&self, outcome: &Outcome) -> String {
        match (self, outcome) {
            (Self::Queue(_), Outcome::Accepted) => "the queue has it; its forwarders deliver it to DX".to_owned(),
            _ => outcome.to_string(),
        }
    }
}

impl fmt::Display for ForwardTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dx { client, .. } => client.url().fmt(f),
            Self::Queue(outlet) => f.write_str(&outlet.address()),
        }
    }
}

impl fmt::Debug for ForwardTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForwardTo({self})")
    }
}
