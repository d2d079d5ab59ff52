//! A server below a path of a proxy: requests may have the path, and links of pages get it.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The attributes of a page that have addresses of ours. Reported values never look so: their quotation marks are escaped.
const ATTRIBUTES: [&str; 3] = [" href=\"/", " action=\"/", " data-events=\"/"];

/// The largest page, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// Takes the path `below` off a request, if the proxy has left it there, and puts it in front of the answer's addresses.
pub async fn mount(State(below): State<Arc<str>>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = above(request.uri(), &below) {
        *request.uri_mut() = uri;
    }
    let mut response = next.run(request).await;
    let ours = response
        .headers()
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
        .filter(|to| is_ours(to));
    if let Some(to) = ours.and_then(|to| HeaderValue::try_from(format!("{below}{to}")).ok()) {
        response.headers_mut().insert(LOCATION, to);
    }
    let kind = response.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory, and all text is ours.
    let text = to_bytes(body, LARGEST)
        .await
        .ok()
        .and_then(|body| String::from_utf8(body.into()).ok());
    let Some(mut text) = text else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    for attribute in ATTRIBUTES {
        let begin = &attribute[..attribute.len() - 1];
        text = text.replace(attribute, &format!("{begin}{below}/"));
    }
    if parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    Response::from_parts(parts, Body::from(text))
}

fn is_ours(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//")
}

/// Returns the address without the path; `None` if it does not have it.
fn above(uri: &Uri, below: &str) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(below)?;
    match rest.as_bytes().first() {
        Some(b'/') => rest.parse().ok(),
        None | Some(b'?') => format!("/{rest}").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::response::{Html, Redirect};
    use axum::routing::get;
    use tower::ServiceExt;

    async fn ask(path: &str) -> Response {
        let page = "<a href=\"/x\" title=\"/x\">href=&quot;/x</a><div data-events=\"/events\"><a href=\"https://x\"><a href=\"#a\">";
        let inner = Router::new()
            .route("/runs", get(move || async move { Html(page) }))
            .route("/old", get(|| async { Redirect::permanent("/runs") }))
            .route("/api/runs", get(|uri: Uri| async move { uri.to_string() }));
        let below: Arc<str> = "/a/b".into();
        let router = Router::new()
            .fallback_service(inner)
            .layer(from_fn_with_state(below, mount));
        router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    async fn text(path: &str) -> String {
        let body = to_bytes(ask(path).await.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_path_is_taken_off_requests_and_put_before_links() {
        let shown = "<a href=\"/a/b/x\" title=\"/x\">href=&quot;/x</a><div data-events=\"/a/b/events\"><a href=\"https://x\"><a href=\"#a\">";
        for path in ["/runs", "/a/b/runs", "/a/b/runs?x"] {
            assert_eq!(text(path).await, shown, "{path}");
        }
        assert_eq!(text("/a/b/api/runs?branch=/a/b").await, "/api/runs?branch=/a/b");
        assert_eq!(ask("/a/b/old").await.headers()[LOCATION], "/a/b/runs");
        for path in ["/a/bruns", "/a/runs", "/a/b/a/b/runs"] {
            assert_eq!(ask(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
