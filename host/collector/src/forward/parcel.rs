//! The destination and pace of forwarding, and the data that is sent of a run.

use crate::rules::{Admitted, Rules};
use crate::store::{FoldError, Outgoing, Received};
use pipefold::Outlet;
use pipefold::dx::{Client, Outcome};
use pipefold_sandbox::{Notification, Run, Status};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The destination of forwarding.
pub enum ForwardTo {
    /// DX itself.
    Dx {
        /// DX.
        client: Client,
        /// The file with its token. It is read again for each request: a token may be replaced while the server runs.
        token_file: PathBuf,
    },
    /// A queue, from which forwarders deliver to DX.
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
    /// Returns the defaults for DX.
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

    /// Returns the defaults for a queue.
    #[must_use]
    pub fn into_queue(outlet: Arc<dyn Outlet>) -> Self {
        Self {
            to: ForwardTo::Queue(outlet),
            // Full speed: the queue's forwarders limit the rate at DX.
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
    /// Returns the outcome for a run, in one line.
    pub(super) fn words(&self, outcome: &Outcome) -> String {
        match (self, outcome) {
            (Self::Queue(_), Outcome::Accepted) => "recorded in the queue; its forwarders deliver it to DX".to_owned(),
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

/// The data that is sent of a run.
pub enum Parcel {
    /// The run.
    Run(Arc<Run>),
    /// A policy keeps the run here, for this reason.
    Kept(String),
    /// The rules refuse the run, so it is of no use to DX.
    Unfit(String),
    /// The run was removed.
    Gone,
}

/// The form in which a run is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAs {
    /// As its notifications report it.
    Reported,
    /// As cancelled: it had no activity for long, and its end will not be reported.
    Cancelled,
}

impl Parcel {
    /// The parcel of a run whose record the store has, judged and folded.
    pub fn judged(run: Outgoing, sent_as: SentAs) -> Self {
        Self::new(run.summary.record, sent_as)
    }

    fn new(mut run: Run, sent_as: SentAs) -> Self {
        if sent_as == SentAs::Cancelled {
            run.status = Status::Cancelled;
            // The end is unknown, and DX would not take back one that is too late.
            run.finished_at = None;
        }
        Self::Run(Arc::new(run))
    }

    /// Makes the parcel of notifications. In a thread that may block: ten thousand notifications take a while.
    pub async fn of(rules: &Rules, received: Vec<Received>, sent_as: SentAs) -> Result<Self, String> {
        if received.is_empty() {
            return Ok(Self::Gone);
        }
        let rules = rules.clone();
        let judge = move || {
            let history = match judged(&rules, received)? {
                Ok(judged) => judged,
                Err(why) => return Ok(Self::Kept(why)),
            };
            Ok(Self::new(rules.fold(&history)?.run, sent_as))
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        match judged.map_err(|_| "judging it panicked".to_owned())? {
            Ok(parcel) => Ok(parcel),
            Err(error @ FoldError::Refused(_)) => Ok(Self::Unfit(error.to_string())),
            Err(FoldError::Failed(why)) => Err(why),
        }
    }
}

/// Returns the notifications after the policies, or the reason why none of them may be sent. Those that were stored without policies are
/// judged by today's before they leave the machine.
fn judged(rules: &Rules, received: Vec<Received>) -> Result<Result<Vec<Notification>, String>, FoldError> {
    let has_policies = rules.has_policies();
    let (mut history, mut is_news, mut why) = (Vec::with_capacity(received.len()), false, None);
    for one in received {
        if one.by_policies || !has_policies {
            is_news |= !one.held;
            history.push(one.notification);
            continue;
        }
        // An older version kept steps so, which are jobs now and judged as such.
        if one.notification.step.is_some() {
            continue;
        }
        match rules.admit(&one.notification)? {
            Admitted::Kept(left) => {
                is_news |= !left.held;
                history.extend(left.notifications);
            }
            Admitted::Dropped { why: reason, whole } => {
                if whole {
                    return Ok(Err(reason));
                }
                why = Some(reason);
            }
        }
    }
    if is_news {
        return Ok(Ok(history));
    }
    Ok(Err(why.unwrap_or_else(|| "it is held".to_owned())))
}
