//! Addresses, the stream of changes, and the headers of every answer.

use super::site::{Site, ago, attributes, began};
use crate::access::Rights;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt;

#[tokio::test]
async fn any_name_has_a_page_that_the_lists_lead_to() {
    for name in ["a/b", "..", ".", "%2e", "ü ?#&+", "a%2Fb", "x;y", "\u{1F980}", "a\\b"] {
        let site = Site::new();
        site.add(began(name, name, 60), ago(60)).await;
        for (list, kind) in [("/", "/runs"), ("/pipelines", "/pipelines")] {
            let page = site.page(list).await;
            let links = attributes(&page, "href");
            let link = links
                .iter()
                .find(|href| href.starts_with(&format!("{kind}/")) || href.starts_with(&format!("{kind}?")))
                .unwrap();
            // A browser would take it for a step up.
            assert!(!link.ends_with("/.") && !link.ends_with("/.."), "{link}");
            let page = site.page(&link.replace("&amp;", "&")).await;
            assert!(page.contains("<h1>"), "{link}");
            assert_ne!(page, site.page(list).await, "{link}");
        }
    }
}

#[tokio::test]
async fn invalid_addresses_have_an_error_page() {
    let site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    for (address, status) in [
        ("/runs/none", 404),
        ("/pipelines/none", 404),
        ("/runs/%FF", 400),
        ("/?status=fine", 400),
        ("/?status=SUCCESS", 400),
        ("/?after=1", 400),
        ("/?text=a&text=b", 400),
        ("/pipelines/p?days=2", 400),
        ("/pipelines/p?steps=x", 400),
        ("/pipelines?sort=x", 400),
        ("/pipelines?page=0", 400),
        ("/pipelines/p?days=", 400),
        ("/elsewhere", 404),
        ("/runs/", 404),
    ] {
        assert_eq!(site.get(address).await.status.as_u16(), status, "{address}");
    }
    // Bookmarks of the list of runs, which was here.
    assert!(site.page("/?status=running").await.contains("<h1>Runs</h1>"));
    assert_eq!(site.get("/?unknown=1&status=&text=%20").await.status, StatusCode::OK);
    for days in [1, 7, 30, 90, 365] {
        let page = site.page(&format!("/pipelines/p?days={days}")).await;
        assert!(page.contains("class=\"chart\""), "{days}");
    }
}

#[tokio::test]
async fn without_rights_there_is_no_page() {
    let mut site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    let addresses = [
        "/",
        "/runs",
        "/runs/r",
        "/runs?reference_id=r",
        "/pipelines",
        "/pipelines/p",
        "/pipelines?name=p",
        "/events",
    ];
    site.access = None;
    for address in addresses {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{address}");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic ")
        );
    }
    assert_eq!(site.get("/assets/icon.svg").await.status, StatusCode::OK);
    let site = site.seen_by(Rights::Write, &["*"]);
    for address in addresses {
        assert_eq!(site.get(address).await.status, StatusCode::FORBIDDEN, "{address}");
    }
}

/// A time far above what anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// The time after which an event that cannot come counts as absent.
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
            "it arrives at once"
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
async fn a_change_is_sent_to_those_whom_it_concerns() {
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

const ADDRESSES: [&str; 10] = [
    "/",
    "/runs",
    "/runs/r",
    "/runs/none",
    "/pipelines",
    "/pipelines/p",
    "/?after=x",
    "/assets/style.css",
    "/assets/icon.svg",
    "/elsewhere",
];

async fn site() -> Site {
    let site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    site
}

#[tokio::test]
async fn every_answer_has_the_policy() {
    let site = site().await;
    for address in ADDRESSES {
        let headers = site.get(address).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "script-src 'sha256-",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{address}: {part}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(headers.contains_key("cache-control"));
        if !address.starts_with("/assets") {
            assert_eq!(headers["cache-control"], "private, no-cache", "{address}");
        }
    }
}

#[tokio::test]
async fn the_script_of_a_page_is_the_one_that_the_policy_names() {
    let site = site().await;
    for address in ["/", "/runs/r", "/pipelines", "/runs/none"] {
        let answer = site.get(address).await;
        let script = answer
            .text
            .split("<script>")
            .nth(1)
            .unwrap()
            .split("</script>")
            .next()
            .unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(script));
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("script-src 'sha256-{digest}'")), "{address}");
    }
}

#[tokio::test]
async fn pages_need_nothing_that_the_policy_forbids_and_nothing_from_elsewhere() {
    let site = site().await;
    for address in ["/", "/runs", "/runs/r", "/pipelines", "/pipelines/p", "/runs/none"] {
        let page = site.get(address).await.text;
        assert!(
            attributes(&page, "style").is_empty() && !page.contains("<style"),
            "{address}"
        );
        for handler in ["onclick", "onload", "onerror", "onchange", "onsubmit"] {
            assert!(attributes(&page, handler).is_empty(), "{address}");
        }
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("data:"),
            "{address}"
        );
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{address}");
        assert!(
            page.contains("<a class=\"skip\" href=\"#main\">") && page.contains("<main id=\"main\""),
            "{address}"
        );
    }
    let style = site.page("/assets/style.css").await;
    assert!(!style.contains("url(") && !style.contains("@import"));
    for need in [
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        "@media print",
        ":focus-visible",
    ] {
        assert!(style.contains(need), "{need}");
    }
}

#[tokio::test]
async fn the_stylesheet_is_kept_for_good_under_an_address_that_has_its_digest() {
    let site = site().await;
    let page = site.page("/").await;
    let address = attributes(&page, "href")
        .into_iter()
        .find(|href| href.starts_with("/assets/style.css?"))
        .unwrap()
        .to_owned();
    let answer = site.get(&address).await;
    assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(answer.headers["content-type"], "text/css; charset=utf-8");
    let digest: String = Sha256::digest(answer.text)[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(address.ends_with(&digest));
}
