//! The state that the pages share, the visitor's access, and the stream that reports changes to a browser.
//!
//! An event reports only that something is new. The browser then requests the page again, so that filters, rights and markup are made in one
//! place.

use super::forge::Forge;
use super::layout::PageError;
use super::words::Clock;
use crate::access::Access;
use crate::hooks::Hooks;
use crate::policies::Policies;
use crate::store::{Names, Store};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use futures_util::stream::Stream;
use pipefold_sandbox::Run;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{sleep, timeout_at};

/// The most browsers that may listen for changes at a time: each holds a connection and a few KiB. More get an answer to come back later,
/// and show the page without it.
const MAX_STREAMS: usize = 256;

/// The names that the search offers, and when they were read.
pub type Offered = (Instant, Arc<Names>);

/// The state that the pages share.
#[derive(Clone)]
pub struct PageState {
    /// The runs.
    pub(super) store: Arc<dyn Store>,
    /// The channel with the name of a run's pipeline for each change of one of its runs.
    pub(super) changes: broadcast::WeakSender<Arc<str>>,
    /// The function that makes the body for DX of a run.
    pub(super) body: fn(&Run) -> Vec<u8>,
    /// True if runs are forwarded to DX.
    pub(super) forwards: bool,
    /// The time after its last notification from which an unfinished run counts as stale.
    pub(super) stale_after: Duration,
    pub(super) clock: Clock,
    pub(super) streams: Arc<Semaphore>,
    /// The sources of webhooks.
    pub(super) hooks: Arc<Hooks>,
    pub(super) policies: Policies,
    /// The sites of repositories.
    pub(super) forges: Arc<[Forge]>,
    /// The names that the search offers to those who see everything, and when they were read.
    pub(super) names: Arc<Mutex<Option<Offered>>>,
}

impl PageState {
    /// - `changes` receives the name of a run's pipeline for each change of one of its runs. The pages hold it weakly: once the server has
    ///   dropped its own, every stream of events ends.
    /// - `body` makes the JSON object for DX of a run.
    /// - `forwards` is true if runs are forwarded to DX.
    /// - `stale_after` is the time after its last notification from which an unfinished run counts as stale.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        changes: &broadcast::Sender<Arc<str>>,
        body: fn(&Run) -> Vec<u8>,
        forwards: bool,
        stale_after: Duration,
    ) -> Self {
        Self {
            store,
            changes: changes.downgrade(),
            body,
            forwards,
            stale_after,
            clock: Clock::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            hooks: Arc::default(),
            policies: Policies::default(),
            forges: Arc::default(),
            names: Arc::default(),
        }
    }

    /// Returns the state with sources of webhooks.
    #[must_use]
    pub fn with_hooks(mut self, hooks: Arc<Hooks>) -> Self {
        self.hooks = hooks;
        self
    }

    /// Returns the state with sites of repositories.
    #[must_use]
    pub fn with_forges(mut self, forges: Vec<Forge>) -> Self {
        self.forges = forges.into();
        self
    }

    /// Returns the state with policies.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Returns the state with another clock: for pages that are the same each time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// The visitor's access. The server puts an [`Access`] into the request's extensions once it knows the visitor; without one nothing is
/// shown.
pub struct Viewer(pub(super) Access);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        match parts.extensions.get::<Access>() {
            None => Err(PageError::UnknownCaller),
            Some(access) if !access.reads() => Err(PageError::MayNotRead),
            Some(access) => Ok(Self(access.clone())),
        }
    }
}

/// The pause between two events: a busy server has hundreds of changes a second, more than a person can read.
const PAUSE: Duration = Duration::from_secs(1);

/// The lifetime of a stream. The browser comes back at once, so a revoked token sees nothing for long.
const LIFETIME: Duration = Duration::from_secs(600);

/// The time between two signs of life, so that a dead peer is noticed, and a proxy does not take the stream for dead: many wait 30 s.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// The time that a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
pub struct EventsAddress {
    pipeline: Option<String>,
}

pub async fn events(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    wanted: Result<Query<EventsAddress>, QueryRejection>,
) -> Result<Response, PageError> {
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    let Ok(permit) = Arc::clone(&state.streams).try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, "60")];
        return Ok((
            StatusCode::SERVICE_UNAVAILABLE,
            later,
            "too many listeners: reload the page instead",
        )
            .into_response());
    };
    // The server is stopping.
    let Some(changes) = state.changes.upgrade().map(|sender| sender.subscribe()) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let listener = Listener {
        changes,
        access,
        pipeline: wanted.pipeline,
        until: tokio::time::Instant::now() + LIFETIME,
        sent: Sent::Nothing,
        _permit: permit,
    };
    let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    // nginx would buffer the stream for ever. Others do when they compress it, which `no-transform` forbids.
    let headers = [
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
    ];
    Ok((headers, Sse::new(listener.stream()).keep_alive(alive)).into_response())
}

/// The last event of a stream.
enum Sent {
    Nothing,
    Greeting,
    Change,
}

struct Listener {
    changes: Receiver<Arc<str>>,
    access: Access,
    /// The pipeline whose changes are sent; all if `None`.
    pipeline: Option<String>,
    until: tokio::time::Instant,
    sent: Sent,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        match self.sent {
            // At once, so that the browser sees the stream open.
            Sent::Nothing => {
                self.sent = Sent::Greeting;
                return Some(Event::default().retry(COME_BACK).comment("pipefold"));
            }
            Sent::Greeting => {}
            Sent::Change => sleep(PAUSE).await,
        }
        self.sent = Sent::Change;
        loop {
            match timeout_at(self.until, self.changes.recv()).await {
                Ok(Ok(pipeline)) if !self.concerns(&pipeline) => {}
                // Changes that came too fast to be sent one by one are a change, too.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => break,
                Ok(Err(RecvError::Closed)) | Err(_) => return None,
            }
        }
        // This event covers all changes that wait.
        self.changes = self.changes.resubscribe();
        Some(Event::default().event("changed").data("1"))
    }

    fn concerns(&self, pipeline: &str) -> bool {
        self.pipeline.as_deref().is_none_or(|wanted| wanted == pipeline) && self.access.may_see(pipeline)
    }
}
