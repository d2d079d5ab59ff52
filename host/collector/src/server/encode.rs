//! Answers that a client has already, and compression.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    VARY,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;

/// The types that are compressed: all that browsers and readers of the API get, and nothing compressed already.
const TYPES: [&str; 5] = ["text/html", "text/css", "text/csv", "image/svg+xml", "application/json"];

/// The size below which compression saves no packet.
const SMALL: usize = 1_400;

/// The largest answer that is looked at, in bytes; no page is larger.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Gives an answer a digest (`ETag`), answers 304 if the client has it already, and compresses it otherwise.
pub async fn encode(request: Request, next: Next) -> Response {
    let (method, asked) = (request.method().clone(), request.headers().clone());
    let is_api = request.uri().path().contains("/api/");
    let response = next.run(request).await;
    if method != Method::GET || response.status() != StatusCode::OK || !has_type(&response) {
        return response;
    }
    // A stream has no size.
    let size = response.body().size_hint().exact();
    if size.is_none_or(|size| size > LARGEST) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory, so it cannot fail to be read.
    let Ok(body) = to_bytes(body, LARGEST as usize).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = tag(&body);
    let is_known = asked.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &tag));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        parts.headers.insert(ETAG, tag);
    }
    parts
        .headers
        .insert(VARY, HeaderValue::from_static("accept-encoding, authorization"));
    if is_api {
        // A client may keep it, to ask whether it has changed.
        parts
            .headers
            .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    if body.len() >= SMALL
        && takes_gzip(&asked)
        && !is_from_elsewhere(&asked)
        && let Some(small) = gzip(&body)
    {
        parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(small.len()));
        return Response::from_parts(parts, Body::from(small));
    }
    Response::from_parts(parts, Body::from(body))
}

fn has_type(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    kind.is_some_and(|kind| TYPES.contains(&kind))
}

/// Returns the digest as a weak tag (RFC 9110, section 8.8.1): it is of the content, whatever its encoding.
fn tag(body: &[u8]) -> String {
    let mut tag = "W/\"".to_owned();
    for byte in &Sha256::digest(body)[..16] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Returns true if a header `If-None-Match` names a tag.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known
        .to_str()
        .is_ok_and(|known| known.split(',').any(|known| weak(known) == weak(tag)))
}

/// Returns true if the client takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let accepted = asked
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        matches!(name.trim(), "gzip" | "*") && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
    })
}

/// Returns true if another site's page makes the request: by the size of compressed answers it could find out what is in them, with texts
/// of its own in the address (BREACH).
fn is_from_elsewhere(asked: &HeaderMap) -> bool {
    let site = asked.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    // The fastest: a list is an eighth by it, and a tenth by the best.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use tower::ServiceExt;

    async fn ask(headers: &[(&str, &str)], path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let text = "runs ".repeat(1_000);
        let router = Router::new()
            .route(
                "/api/runs",
                get(|| async { ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text) }),
            )
            .route(
                "/small",
                get(|| async { ([(CONTENT_TYPE, "text/html; charset=utf-8")], "x") }),
            )
            .route(
                "/other",
                get(|| async { ([(CONTENT_TYPE, "image/png")], "x".repeat(5_000)) }),
            )
            .layer(from_fn(encode));
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (
            parts.status,
            parts.headers,
            to_bytes(body, 1 << 20).await.unwrap().to_vec(),
        )
    }

    #[tokio::test]
    async fn an_answer_is_compressed_for_those_who_take_it() {
        let (_, plain, whole) = ask(&[], "/api/runs").await;
        assert!(!plain.contains_key(CONTENT_ENCODING) && plain[CACHE_CONTROL] == "private, no-cache");
        for accepted in ["gzip", "br, gzip;q=0.5", "*"] {
            let (_, headers, body) = ask(&[("accept-encoding", accepted)], "/api/runs").await;
            assert_eq!(
                (&headers[CONTENT_ENCODING], &headers[ETAG]),
                (&HeaderValue::from_static("gzip"), &plain[ETAG])
            );
            assert_eq!(headers[CONTENT_LENGTH].to_str().unwrap(), body.len().to_string());
            let mut text = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut text).unwrap();
            assert!(text == whole && body.len() * 10 < whole.len());
        }
        for headers in [
            [("accept-encoding", "br"), ("x-a", "b")],
            [("accept-encoding", "gzip;q=0"), ("x-a", "b")],
            [("accept-encoding", "gzip"), ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(ask(&headers, "/api/runs").await.2, whole, "{headers:?}");
        }
        let gzip = [("accept-encoding", "gzip")];
        assert!(!ask(&gzip, "/small").await.1.contains_key(CONTENT_ENCODING));
        assert!(!ask(&gzip, "/other").await.1.contains_key(ETAG));
    }

    #[tokio::test]
    async fn what_a_client_has_is_not_sent_again() {
        let (_, headers, _) = ask(&[], "/api/runs").await;
        let tag = headers[ETAG].to_str().unwrap();
        let strong = tag.trim_start_matches("W/");
        for known in [tag, strong, &format!("\"a\", {tag}")] {
            let (status, headers, body) = ask(&[("if-none-match", known)], "/api/runs").await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(headers[ETAG], tag);
        }
        assert_eq!(ask(&[("if-none-match", "\"a\"")], "/api/runs").await.0, StatusCode::OK);
    }
}
