//! Telling a browser that something changed: server-sent events.
//!
//! An event says only that there is something new. The browser then asks for the page again, so that filters, rights and markup are made in
//! one place.

use super::layout::PageError;
use super::state::{PageState, Viewer};
use crate::access::Access;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use futures_util::stream::Stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout_at};

/// Between two events: a busy server has hundreds of changes a second, more than a person can read.
const PAUSE: Duration = Duration::from_secs(1);

/// A stream ends after this time, and the browser comes back at once: so a token that was revoked sees nothing for long.
const LIFETIME: Duration = Duration::from_secs(600);

/// Between two signs of life, so that a peer that has gone is noticed, and a proxy does not take the stream for dead: many wait 30 s.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Time that a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
pub struct Wanted {
    pipeline: Option<String>,
}

pub async fn events(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, PageError> {
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    let Ok(permit) = Arc::clone(&state.streams).try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, "60")];
        return Ok((
            StatusCode::SERVICE_UNAVAILABLE,
            later,
            "too many listen: reload the page instead",
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
        until: Instant::now() + LIFETIME,
        said: Said::Nothing,
        _permit: permit,
    };
    let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    // nginx would gather the stream into whole buffers, and so for ever. Others do when they compress it, which `no-transform` forbids.
    let headers = [
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
    ];
    Ok((headers, Sse::new(listener.stream()).keep_alive(alive)).into_response())
}

/// State of a stream.
enum Said {
    Nothing,
    Greeting,
    Change,
}

struct Listener {
    changes: Receiver<Arc<str>>,
    access: Access,
    /// Only changes of this one; of all where there is none.
    pipeline: Option<String>,
    until: Instant,
    said: Said,
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
        match self.said {
            // At once, so that the browser knows that it is heard.
            Said::Nothing => {
                self.said = Said::Greeting;
                return Some(Event::default().retry(COME_BACK).comment("pipefold"));
            }
            Said::Greeting => {}
            Said::Change => sleep(PAUSE).await,
        }
        self.said = Said::Change;
        loop {
            match timeout_at(self.until, self.changes.recv()).await {
                Ok(Ok(pipeline)) if !self.concerns(&pipeline) => {}
                // Changes that came too fast to be sent one by one are a change, too.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => break,
                Ok(Err(RecvError::Closed)) | Err(_) => return None,
            }
        }
        // This event is for all that waits.
        self.changes = self.changes.resubscribe();
        Some(Event::default().event("changed").data("1"))
    }

    fn concerns(&self, pipeline: &str) -> bool {
        self.pipeline.as_deref().is_none_or(|wanted| wanted == pipeline) && self.access.may_see(pipeline)
    }
}
