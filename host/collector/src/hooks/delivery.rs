//! The reading of a delivery: the bounds on its body, the text in it, and the headers that a source sees.

use crate::request::SMALL_BODY;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use pipefold::dx::{ErrorCode, from_form};
use pipefold_sandbox::{Header, foreign};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The most bytes of a body: GitHub sends no more.
pub const LARGEST: usize = 25 * 1024 * 1024;

/// The size in bytes from which a body is large. Usual deliveries have 10 to 100 KB.
pub const LARGE: usize = 1024 * 1024;

/// The large bodies in memory at a time. Each is there twice while a source reads it.
const LARGE_AT_ONCE: usize = 2;

/// The bytes of bodies that are not large, in memory at a time. Senders are not known before their body is read, so each holds what it has
/// sent and no more: slow ones cannot take the room of others.
const ROOM: usize = 64 * 1024 * 1024;

/// The unit of [`ROOM`].
const PART: usize = SMALL_BODY;

/// A fault of a delivery: the code of the answer, and a message for the sender.
#[derive(Debug)]
pub struct Unread(pub ErrorCode, pub String);

impl Unread {
    fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self(code, why.into())
    }
}

/// The memory for bodies, shared by all sources.
pub struct Rooms {
    parts: Arc<Semaphore>,
    large: Arc<Semaphore>,
    time: Duration,
}

/// A body in memory, and its part of the room.
#[derive(Debug, Default)]
pub struct Held {
    pub bytes: Vec<u8>,
    parts: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

/// The room of a body, which is free again when this is dropped.
pub struct Room {
    _parts: Option<OwnedSemaphorePermit>,
    _large: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Returns the bytes, and the room that they take.
    pub fn into_parts(self) -> (Vec<u8>, Room) {
        let room = Room {
            _parts: self.parts,
            _large: self.large,
        };
        (self.bytes, room)
    }
}

impl Rooms {
    /// Rooms for bodies that arrive within `time`.
    pub fn new(time: Duration) -> Self {
        Self {
            parts: Arc::new(Semaphore::new(ROOM / PART)),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            time,
        }
    }

    /// Reads a body, which must not be compressed: a small one could become any size.
    ///
    /// # Errors
    /// The fault of one that is too large, too slow, compressed, or ends early.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Held, Unread> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if encodings.any(|encoding| encoding != "identity") {
            let why = "send the body without a Content-Encoding";
            return Err(Unread::new(ErrorCode::UnsupportedMediaType, why));
        }
        let length = headers.get(CONTENT_LENGTH);
        let length: Option<usize> = length.and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > LARGEST) {
            return Err(too_large());
        }
        let mut held = Held::default();
        match timeout(self.time, self.fill(&mut held, length, body)).await {
            Ok(Ok(())) => Ok(held),
            Ok(Err(unread)) => Err(unread),
            Err(_) if !self.has_room(&held) => {
                let why = "the server is reading as many large bodies as it can";
                Err(Unread::new(ErrorCode::Unavailable, why))
            }
            Err(_) => Err(Unread::new(ErrorCode::Timeout, "the body did not come in time")),
        }
    }

    async fn fill(&self, held: &mut Held, length: Option<usize>, mut body: Body) -> Result<(), Unread> {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let why = "the body ends early, or its chunks are malformed";
                return Err(Unread::new(ErrorCode::InvalidJson, why));
            };
            let Ok(data) = frame.into_data() else { continue };
            let size = held.bytes.len() + data.len();
            if size > LARGEST {
                return Err(too_large());
            }
            self.grow(held, size).await;
            if held.large.is_some()
                && let Some(length) = length
            {
                // At once, and not by doubling.
                held.bytes.reserve_exact(length.saturating_sub(held.bytes.len()));
            }
            held.bytes.extend_from_slice(&data);
        }
        Ok(())
    }

    /// Waits for the room that `size` bytes take.
    async fn grow(&self, held: &mut Held, size: usize) {
        if size > LARGE && held.large.is_none() {
            // The semaphores are never closed.
            held.large = Arc::clone(&self.large).acquire_owned().await.ok();
        }
        let wanted = size.min(LARGE).saturating_sub(1) / PART;
        let has = held.parts.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(has).filter(|more| *more > 0) else {
            return;
        };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(&self.parts).acquire_many_owned(more).await {
            match &mut held.parts {
                Some(parts) => parts.merge(more),
                None => held.parts = Some(more),
            }
        }
    }

    /// Returns true if a body that was held up had room.
    fn has_room(&self, held: &Held) -> bool {
        let waits_for_large = held.large.is_none() && held.bytes.len() + PART > LARGE;
        self.parts.available_permits() > 0 && !(waits_for_large && self.large.available_permits() == 0)
    }
}

fn too_large() -> Unread {
    Unread::new(ErrorCode::TooLarge, format!("the body has more than {LARGEST} bytes"))
}

/// The form in which GitHub sends JSON if the webhook's content type is a form.
#[derive(Deserialize)]
struct Form {
    payload: String,
}

/// Returns the text of a body: of a form its field `payload`, else all of it.
///
/// # Errors
/// The fault of a form without that field, or of a text that is not UTF-8.
pub fn text(headers: &HeaderMap, bytes: Vec<u8>) -> Result<String, Unread> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let form: Form = from_form(&bytes).map_err(|why| Unread::new(ErrorCode::InvalidJson, why.to_string()))?;
        return Ok(form.payload);
    }
    let mut text =
        String::from_utf8(bytes).map_err(|_| Unread::new(ErrorCode::InvalidJson, "the body is not UTF-8"))?;
    // A byte order mark is no part of the JSON (RFC 8259, section 8.1).
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// Parts of the names of headers with secrets or proofs of them.
const SECRETS: [&str; 10] = [
    "authorization",
    "cookie",
    "signature",
    "token",
    "secret",
    "password",
    "credential",
    "api-key",
    "apikey",
    "x-auth",
];

/// Beginnings of the names of headers that servers on the way add: they are about the network of the collector, and no facts of a run.
const ON_THE_WAY: [&str; 33] = [
    "forwarded",
    "via",
    "x-forwarded-",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-",
    "x-envoy-",
    "x-b3-",
    "x-amzn-",
    "x-amz-",
    "x-azure-",
    "x-ms-client-",
    "x-arr-",
    "x-appengine-",
    "x-cloud-trace-",
    "x-goog-",
    "x-ssl-",
    "x-scheme",
    "ssl-client-",
    "cf-",
    "cdn-loop",
    "true-client-ip",
    "fastly-",
    "fly-",
    "tailscale-",
    "traceparent",
    "tracestate",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "host",
];

/// Returns the headers that a source sees. Their number and size are bounded as those of every request are.
pub fn passed_on(headers: &HeaderMap) -> Vec<Header> {
    let passes = |name: &str| {
        !SECRETS.iter().any(|part| name.contains(part)) && !ON_THE_WAY.iter().any(|begin| name.starts_with(begin))
    };
    let readable = headers.iter().filter_map(|(name, value)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        passes(name.as_str()).then(|| Header {
            name: name.as_str().to_owned(),
            value: value.to_owned(),
        })
    });
    readable.collect()
}

/// The headers with the kind of an event. Gitea and Forgejo send GitHub's too.
const EVENTS: [&str; 9] = [
    "x-gitea-event",
    "x-forgejo-event",
    "x-github-event",
    "x-gitlab-event",
    "circleci-event-type",
    "x-buildkite-event",
    "x-event-key",
    "x-drone-event",
    "ce-type",
];

/// The headers with the id of a delivery, by which the CI system's own list of deliveries names it.
const IDS: [&str; 10] = [
    "x-gitea-delivery",
    "x-forgejo-delivery",
    "x-github-delivery",
    "webhook-id",
    "idempotency-key",
    "x-gitlab-event-uuid",
    "x-buildkite-request",
    "x-request-uuid",
    "x-drone-delivery",
    "ce-id",
];

/// The characters of a header that are shown.
const SHOWN: usize = 100;

/// Returns the kind of event and the id of a delivery, as they are shown.
pub fn label(headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let first = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
        values.next().map(|value| foreign::cut(value, SHOWN))
    };
    (first(&EVENTS), first(&IDS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderName, HeaderValue};
    use futures_util::stream;
    use std::convert::Infallible;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn body(parts: usize, size: usize) -> Body {
        let part = Bytes::from(vec![b' '; size]);
        Body::from_stream(stream::iter((0..parts).map(move |_| Ok::<_, Infallible>(part.clone()))))
    }

    #[tokio::test]
    async fn room_is_taken_by_what_arrived_and_given_back() {
        let rooms = Rooms::new(Duration::from_millis(50));
        let all = rooms.parts.available_permits();
        let small = rooms.read(&HeaderMap::new(), body(1, PART)).await.unwrap();
        assert_eq!(rooms.parts.available_permits(), all);
        let usual = rooms.read(&HeaderMap::new(), body(3, PART)).await.unwrap();
        assert_eq!(rooms.parts.available_permits(), all - 2);
        let large: Vec<Held> = [
            rooms.read(&HeaderMap::new(), body(25, 1 << 20)).await.unwrap(),
            rooms.read(&HeaderMap::new(), body(2, 1 << 20)).await.unwrap(),
        ]
        .into();
        assert_eq!(large[0].bytes.len(), LARGEST);
        let third = rooms.read(&HeaderMap::new(), body(2, 1 << 20)).await.unwrap_err();
        assert_eq!(third.0, ErrorCode::Unavailable);
        assert!(rooms.read(&HeaderMap::new(), body(1, 1 << 20)).await.is_ok());
        drop((small, usual, large));
        assert_eq!(
            (rooms.parts.available_permits(), rooms.large.available_permits()),
            (all, LARGE_AT_ONCE)
        );
    }

    #[tokio::test]
    async fn too_large_too_slow_and_compressed_bodies_are_refused() {
        let rooms = Rooms::new(Duration::from_millis(50));
        let code = async |pairs: &[(&'static str, &str)], body| rooms.read(&headers(pairs), body).await.unwrap_err().0;
        let declared = (LARGEST + 1).to_string();
        assert_eq!(
            code(&[("content-length", &declared)], body(0, 0)).await,
            ErrorCode::TooLarge
        );
        assert_eq!(code(&[], body(26, 1 << 20)).await, ErrorCode::TooLarge);
        let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert_eq!(code(&[], endless).await, ErrorCode::Timeout);
        for encoding in ["gzip", "br", "identity, gzip", ""] {
            let refused = code(&[("content-encoding", encoding)], body(1, 1)).await;
            assert_eq!(refused, ErrorCode::UnsupportedMediaType, "{encoding}");
        }
        assert!(
            rooms
                .read(&headers(&[("content-encoding", "identity")]), body(1, 1))
                .await
                .is_ok()
        );
    }

    #[test]
    fn the_payload_of_a_form_is_the_text() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
        let of = |headers: &HeaderMap, body: &[u8]| text(headers, body.to_vec()).map_err(|unread| unread.0);
        assert_eq!(of(&form, b"payload=%7B%22a%22%3A+1%7D").unwrap(), "{\"a\": 1}");
        for bad in [&b"{\"a\": 1}"[..], b"payload=a&payload=b", b"payload=%ff", b""] {
            assert_eq!(of(&form, bad), Err(ErrorCode::InvalidJson));
        }
        let json = headers(&[("content-type", "application/json")]);
        assert_eq!(of(&json, b"payload=a").unwrap(), "payload=a");
        assert_eq!(of(&json, "\u{feff}{}".as_bytes()).unwrap(), "{}");
        assert_eq!(of(&HeaderMap::new(), b"\xff"), Err(ErrorCode::InvalidJson));
    }

    #[test]
    fn a_source_sees_no_secret_and_nothing_of_the_network() {
        let hidden = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-hub-signature-256",
            "x-gitlab-token",
            "webhook-signature",
            "circleci-signature",
            "x-buildkite-token",
            "x-api-key",
            "x-vendor-secret",
            "x-forwarded-for",
            "forwarded",
            "via",
            "cf-connecting-ip",
            "x-amzn-oidc-data",
            "host",
        ];
        let shown = ["ce-type", "content-type", "user-agent", "webhook-id", "x-github-event"];
        let all: Vec<(&'static str, &str)> = hidden.iter().chain(&shown).map(|name| (*name, "x")).collect();
        let mut all = headers(&all);
        all.insert("x-latin", HeaderValue::from_bytes(b"\xe9").unwrap());
        let mut passed: Vec<String> = passed_on(&all).into_iter().map(|header| header.name).collect();
        passed.sort();
        assert_eq!(passed, shown);
    }

    #[test]
    fn events_and_ids_are_shown_in_part() {
        let long = "x".repeat(1000);
        let (event, id) = label(&headers(&[("x-github-event", "push"), ("ce-id", &long)]));
        assert_eq!(event.as_deref(), Some("push"));
        assert_eq!(id.unwrap().chars().count(), SHOWN);
        assert_eq!(label(&HeaderMap::new()), (None, None));
    }
}
