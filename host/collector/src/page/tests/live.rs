//! Server-sent events.

use super::site::Site;
use crate::access::Rights;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt;

/// Far more than anything here takes; far less than what nobody would wait for.
const LONG: Duration = Duration::from_secs(20);

/// What cannot come did not come after this time.
const SHORT: Duration = Duration::from_millis(200);

struct Stream(axum::body::BodyDataStream);

impl Stream {
    async fn open(site: &Site, address: &str) -> Self {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let response = site.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no", "for nginx");
        let mut stream = Self(response.into_body().into_data_stream());
        assert!(
            stream.next(LONG).await.unwrap().unwrap().contains("retry:"),
            "it is heard at once"
        );
        stream
    }

    /// The next piece; an error when none comes in time, nothing at the end.
    async fn next(&mut self, within: Duration) -> Result<Option<String>, ()> {
        let next = timeout(within, self.0.next()).await.map_err(|_| ())?;
        Ok(next.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap()))
    }
}

#[tokio::test]
async fn a_change_is_told_to_those_whom_it_concerns() {
    let site = Site::new().seen_by(Rights::Read, &["open", "other"]);
    let mut all = Stream::open(&site, "/events").await;
    let mut one = Stream::open(&site, "/events?pipeline=open").await;
    site.changes.send("secret".into()).unwrap();
    assert!(all.next(SHORT).await.is_err(), "nothing of what may not be seen");
    site.changes.send("other".into()).unwrap();
    assert!(all.next(LONG).await.unwrap().unwrap().contains("event: changed"));
    assert!(one.next(SHORT).await.is_err());
    site.changes.send("open".into()).unwrap();
    assert!(one.next(LONG).await.unwrap().unwrap().contains("event: changed"));
}

#[tokio::test]
async fn many_changes_are_one_event() {
    let site = Site::new();
    let mut stream = Stream::open(&site, "/events").await;
    // More than the channel holds.
    for _ in 0..1_000 {
        site.changes.send("p".into()).unwrap();
    }
    assert!(stream.next(LONG).await.unwrap().unwrap().contains("event: changed"));
    assert!(stream.next(SHORT).await.is_err());
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let mut site = Site::new();
    let mut stream = Stream::open(&site, "/events").await;
    site.changes = tokio::sync::broadcast::channel::<Arc<str>>(1).0;
    assert_eq!(stream.next(LONG).await, Ok(None));
    assert_eq!(site.get("/events").await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn too_many_streams_are_refused_until_one_ends() {
    let site = Site::new();
    let taken = Arc::clone(&site.state.streams);
    let all = taken
        .clone()
        .try_acquire_many_owned(u32::try_from(taken.available_permits()).unwrap() - 1)
        .unwrap();
    let stream = Stream::open(&site, "/events").await;
    let answer = site.get("/events").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));
    drop(stream);
    Stream::open(&site, "/events").await;
    drop(all);
}
