//! The parts of a server that its features share, and the bounds on a peer with the reason for each.

use super::gate::Gate;
use super::intake::Intake;
use crate::access::{Rate, RateLimit};
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::rules::Rules;
use crate::store::Store;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

/// The most changes that a slow listener may be behind. A listener further behind learns that it missed some.
const CHANGES: usize = 256;

/// The time after which an unfinished run is stale by default: longer than any build.
const STALE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The parts of a server. Each feature takes those that it needs.
#[derive(Clone)]
pub struct App {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The rules and policies in front of the store.
    pub intake: Arc<Intake>,
    /// The tokens.
    pub gate: Arc<Gate>,
    /// The counters and the log.
    pub journal: Arc<Journal>,
    /// The changes of runs, and the server's end.
    pub signals: Arc<Signals>,
    /// Bounds on a peer.
    pub limits: Limits,
    /// True if stored runs are sent on to DX.
    pub forwards: bool,
    /// Time without activity after which an unfinished run is stale.
    pub stale_after: Duration,
    /// The sources of webhooks.
    pub hooks: Arc<Hooks>,
    /// The path of the server behind its proxy, such as `/pipefold`; `None` for the root.
    pub below: Option<Arc<str>>,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, rules: Rules, gate: Gate, limits: Limits, forwards: bool) -> Self {
        let signals: Arc<Signals> = Arc::default();
        Self {
            intake: Arc::new(Intake::new(Arc::clone(&store), rules, Arc::clone(&signals))),
            store,
            gate: Arc::new(gate),
            journal: Arc::default(),
            signals,
            limits,
            forwards,
            stale_after: STALE_AFTER,
            hooks: Arc::default(),
            below: None,
        }
    }

    /// Returns it below a path.
    #[must_use]
    pub fn below(self, path: Option<String>) -> Self {
        Self {
            below: path.map(Into::into),
            ..self
        }
    }

    /// Returns it with another time after which an unfinished run is stale.
    #[must_use]
    pub fn stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }

    /// Returns it with sources of webhooks.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks) -> Self {
        Self {
            hooks: Arc::new(hooks),
            ..self
        }
    }
}

/// The counters of a server, and its log of errors.
pub struct Journal {
    /// The counters.
    pub metrics: Metrics,
    logged: RateLimit<&'static str>,
}

impl Default for Journal {
    fn default() -> Self {
        // One line of each kind in ten seconds: a full disk would fill the log's disk too.
        let logged = Rate {
            burst: 1,
            per_second: 0.1,
        };
        Self {
            metrics: Metrics::default(),
            logged: RateLimit::new(logged, 64),
        }
    }
}

impl Journal {
    /// Logs an error for the operator, unless one of the same kind was logged a moment ago.
    pub(crate) fn complain(&self, kind: &'static str, what: &dyn std::fmt::Display) {
        if self.logged.take(&kind, Instant::now()).is_ok() {
            tracing::error!("{what}");
        }
    }
}

/// The signals between the parts of a server: a run changed, the server ends.
pub struct Signals {
    stopping: watch::Sender<bool>,
    changes: RwLock<Option<broadcast::Sender<Arc<str>>>>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            stopping: watch::Sender::new(false),
            changes: RwLock::new(Some(broadcast::Sender::new(CHANGES))),
        }
    }
}

impl Signals {
    /// A channel with the name of a pipeline for each change of one of its runs. `None` once the server ends: listeners hold it weakly, and
    /// see its end.
    #[must_use]
    pub fn changes(&self) -> Option<broadcast::Sender<Arc<str>>> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Announces a change of a run of this pipeline.
    pub(crate) fn announce(&self, pipeline: &str) {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = changes.as_ref().filter(|changes| changes.receiver_count() > 0) {
            // The receivers may have left meanwhile.
            let _ = changes.send(pipeline.into());
        }
    }

    /// Ends long answers, and the work beside the server.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        *self.changes.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns true if the server is to end.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the server is to end.
    pub async fn stopped(&self) {
        // It cannot close before `self` ends.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// Bounds on connections and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time; more wait in the system's queue. An idle one costs some 10 KiB and a file descriptor.
    pub connections: usize,
    /// The most connections of one address at a time, unless a proxy is in front: of IPv6, of one network of 64 bits. A machine of many
    /// jobs has a hundred; sixteen such addresses are needed to take all connections.
    pub per_address: usize,
    /// The longest time for the head of a request to arrive, which is also the longest time that a connection may be idle.
    pub head: Duration,
    /// The longest time for a TLS handshake.
    pub handshake: Duration,
    /// The longest time for a body to arrive.
    pub body: Duration,
    /// The longest time to make an answer.
    pub answer: Duration,
    /// The longest time in which a peer reads nothing of an answer.
    pub stall: Duration,
    /// The time that requests in progress have to finish when the server stops.
    pub shutdown: Duration,
    /// The most bytes of an upsert's body.
    pub body_size: usize,
    /// The most large bodies in memory at a time: times [`Limits::body_size`], that is the memory that they may take.
    pub large_bodies: usize,
    /// The most requests a second of one token, in the long run. A pause earns as many at once as ten seconds would.
    pub per_token: u32,
}

/// The connections beside [`Limits::connections`] that only answer that there are too many, or report the server's health: monitoring must
/// not be shut out by the condition that it is there to notice.
pub(crate) const SPARE_CONNECTIONS: usize = 32;

/// The longest time for the head of a request on a spare connection to arrive, so that they are soon free again.
pub(crate) const SPARE_HEAD: Duration = Duration::from_secs(2);

/// The most bytes of a request's head: a token of 4 KiB, a cookie of a proxy, and room. hyper refuses buffers below 8 KiB.
pub(crate) const HEAD_SIZE: usize = 16 * 1024;

/// The most headers of a request: proxies add a dozen, browsers send twenty.
pub(crate) const HEADERS: usize = 64;

/// The size in bytes below which a body is small: 64 of them are nothing beside one large one.
pub(crate) const SMALL_BODY: usize = 16 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 256,
            // Longer than the pauses that clients keep connections for within one job; a thousand idle ones are gone within it.
            head: Duration::from_secs(20),
            handshake: Duration::from_secs(10),
            // 1 MiB within it is 35 KiB/s.
            body: Duration::from_secs(30),
            // The reporter's own requests wait no longer.
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            // systemd kills after 90 s by default, container engines after 10 s.
            shutdown: Duration::from_secs(8),
            body_size: 1024 * 1024,
            large_bodies: 32,
            per_token: 1000,
        }
    }
}
