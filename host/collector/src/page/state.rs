//! What the pages need from the server, and who is looking.

use super::layout::PageError;
use super::words::Clock;
use crate::access::Access;
use crate::store::Store;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pipefold_sandbox::Run;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};

/// The most browsers that may listen for changes at a time: each holds a connection and a few KiB. More are asked to come back later, and show
/// the page without it.
const MAX_STREAMS: usize = 256;

/// What the pages need from the server.
#[derive(Clone)]
pub struct PageState {
    /// The runs.
    pub(super) store: Arc<dyn Store>,
    /// The name of a run's pipeline, each time one of its runs changed.
    pub(super) changes: broadcast::WeakSender<Arc<str>>,
    /// Makes the body that DX is sent for a run.
    pub(super) body: fn(&Run) -> Vec<u8>,
    /// Whether runs are forwarded to DX.
    pub(super) forwards: bool,
    /// Time after its last notification from which an unfinished run counts as stale.
    pub(super) stale_after: Duration,
    pub(super) clock: Clock,
    pub(super) streams: Arc<Semaphore>,
}

impl PageState {
    /// - `changes` is sent the name of a run's pipeline each time that one of its runs changed. The pages hold it weakly: once the server
    ///   has dropped its own, every stream of events ends.
    /// - `body` makes the JSON object that DX is sent for a run.
    /// - `forwards` says whether runs are forwarded to DX.
    /// - `stale_after`: so long after its last notification a run that has not finished counts as stale.
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
        }
    }

    /// The same with another clock: for pages that look the same each time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// The visitor's access. The server puts an [`Access`] into the request's extensions once it knows the visitor; without one nothing
/// is shown.
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
