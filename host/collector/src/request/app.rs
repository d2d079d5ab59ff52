//! What every request handler has at hand.

use super::dropped::Dropped;
use super::exposure::Exposure;
use super::limits::Limits;
use crate::access::{FailureKey, Rate, RateLimit, TokenName, Tokens, TokensError};
use crate::metrics::Metrics;
use crate::rules::Rules;
use crate::store::Store;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::{Semaphore, broadcast, watch};

/// Changes that a slow listener may be behind. A listener further behind learns that it missed some.
const CHANGES: usize = 256;

/// Failed authentications of one address: someone who corrects a configuration by trial gets through, a scanner is slowed down.
const FAILURES: Rate = Rate {
    burst: 20,
    per_second: 1.0,
};

/// Addresses whose failures are remembered, 100 bytes each.
const FAILING_ADDRESSES: usize = 10_000;

/// Shared by all requests.
pub struct App {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The rules and policies.
    pub rules: Rules,
    /// The tokens.
    pub tokens: Tokens,
    /// The ways in which the server can be reached.
    pub exposure: Exposure,
    /// Bounds on a peer.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    /// Whether the server is to end: answers that go on for long, and work beside them, end then.
    pub stopping: watch::Sender<bool>,
    /// Whether what is kept is sent on to DX.
    pub forwards: bool,
    pub(crate) per_token: RateLimit<TokenName>,
    pub(crate) failures: RateLimit<FailureKey>,
    pub(crate) logged: RateLimit<&'static str>,
    pub(crate) large_bodies: Semaphore,
    pub(crate) dropped: Dropped,
    /// Time and result of the last check whether reports can be kept.
    pub(crate) looked: tokio::sync::Mutex<Option<(Instant, bool)>>,
    had_tokens: AtomicBool,
    changes: RwLock<Option<broadcast::Sender<Arc<str>>>>,
}

impl App {
    /// Puts it together.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        rules: Rules,
        tokens: Tokens,
        exposure: Exposure,
        limits: Limits,
        forwards: bool,
    ) -> Self {
        let per_token = Rate {
            burst: limits.per_token.saturating_mul(10),
            per_second: f64::from(limits.per_token),
        };
        // One line of each kind in ten seconds: a full disk would fill the log's disk too.
        let logged = Rate {
            burst: 1,
            per_second: 0.1,
        };
        Self {
            store,
            rules,
            tokens,
            exposure,
            limits,
            forwards,
            metrics: Metrics::default(),
            stopping: watch::Sender::new(false),
            per_token: RateLimit::new(per_token, crate::access::MAX_TOKENS),
            failures: RateLimit::new(FAILURES, FAILING_ADDRESSES),
            logged: RateLimit::new(logged, 64),
            large_bodies: Semaphore::new(limits.large_bodies),
            dropped: Dropped::default(),
            looked: tokio::sync::Mutex::new(None),
            had_tokens: AtomicBool::new(false),
            changes: RwLock::new(Some(broadcast::Sender::new(CHANGES))),
        }
    }

    /// Returns whether requests need no token: there is none, no other machine can reach the server, and there was none before. Revoking the last
    /// one while the server runs does not open it again.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub fn is_open(&self) -> Result<bool, TokensError> {
        if !self.tokens.is_empty()? {
            self.had_tokens.store(true, Relaxed);
        }
        Ok(self.exposure.may_be_open() && !self.had_tokens.load(Relaxed))
    }

    /// A channel that carries the name of a pipeline each time that one of its runs changed. `None` once the server ends: listeners hold it
    /// weakly, and see its end.
    #[must_use]
    pub fn changes(&self) -> Option<broadcast::Sender<Arc<str>>> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Announces a change.
    pub(crate) fn announce(&self, pipeline: &str) {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = changes.as_ref().filter(|changes| changes.receiver_count() > 0) {
            // They may have left meanwhile.
            let _ = changes.send(pipeline.into());
        }
    }

    /// Ends what goes on for long.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        *self.changes.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until the server is to end.
    pub async fn stopped(&self) {
        // It cannot close before `self` ends.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Logs an error for the operator, unless one of the same kind was logged a moment ago.
    pub(crate) fn complain(&self, kind: &'static str, what: &dyn std::fmt::Display) {
        if self.logged.take(&kind, Instant::now()).is_ok() {
            tracing::error!("{what}");
        }
    }
}
