//! Answers in the form of GoCD's servers.

use crate::request::{Journal, store_failed};
use crate::store::StoreError;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response as HttpResponse, StatusCode};
use axum::response::Response;
use pipefold_gocd::{Dialect, write};

const XML: &str = "application/xml; charset=utf-8";

/// The media type of the old dialect's feeds alone.
const FEED: &str = "application/atom+xml; charset=utf-8";

const TEXT: &str = "text/plain; charset=utf-8";

const HTML: &str = "text/html; charset=utf-8";

/// Answers with a document.
pub(super) fn document(dialect: Dialect, headers: &HeaderMap, body: String) -> Response {
    let kind = match dialect {
        Dialect::Old => XML,
        Dialect::New => wanted(headers),
    };
    answer(StatusCode::OK, kind, body)
}

/// Answers with a page of the feed.
pub fn feed(dialect: Dialect, headers: &HeaderMap, body: String) -> Response {
    let kind = match dialect {
        Dialect::Old => FEED,
        Dialect::New => wanted(headers),
    };
    answer(StatusCode::OK, kind, body)
}

/// Answers with a page for people.
pub fn page(body: &'static str) -> Response {
    answer(StatusCode::OK, HTML, body.to_owned())
}

/// Redirects to another address.
pub fn elsewhere(location: &str) -> Response {
    let mut answer = answer(StatusCode::FOUND, XML, String::new());
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A percent-encoded location is always a valid value.
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    answer
}

/// Answers with a refusal.
pub(super) fn refused(dialect: Dialect, status: StatusCode, words: &'static str) -> Response {
    match dialect {
        Dialect::Old => answer(status, TEXT, format!("{words}\n")),
        Dialect::New => answer(status, XML, write::refusal(element(status), words)),
    }
}

/// Returns the root element of a refusal in the new dialect.
fn element(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "bad-request",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "access-denied",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::TOO_MANY_REQUESTS => "too-many-requests",
        _ => "unavailable",
    }
}

/// Refuses another method.
pub fn not_allowed(dialect: Dialect) -> Response {
    let mut answer = refused(
        dialect,
        StatusCode::METHOD_NOT_ALLOWED,
        "Only GET and HEAD are allowed.",
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// Returns a refusal of the API in a form that clients of a GoCD server can read. The headers with the client's next action stay: the token
/// to send, the time of a retry.
pub(super) fn restated(dialect: Dialect, api: Response) -> Response {
    let words = match api.status() {
        StatusCode::UNAUTHORIZED => "Send the name of a token as user, and the token as password.",
        StatusCode::FORBIDDEN => "This token may report, and not read; or the request is another page's.",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests.",
        _ => "The server failed; see its log.",
    };
    let mut answer = refused(dialect, api.status(), words);
    for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
        if let Some(value) = api.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut answer = HttpResponse::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("max-age=0, private, must-revalidate"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Returns the media type of documents in the new dialect: the first of these that the client names, without regard to its preferences.
fn wanted(headers: &HeaderMap) -> &'static str {
    const KNOWN: [(&str, &str); 4] = [
        ("application/xml", XML),
        ("text/xml", "text/xml; charset=utf-8"),
        ("application/rss+xml", "application/rss+xml; charset=utf-8"),
        ("application/atom+xml", FEED),
    ];
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.split(';').next())
        .find_map(|named| KNOWN.iter().find(|(known, _)| named.trim().eq_ignore_ascii_case(known)))
        .map_or(XML, |(_, kind)| kind)
}

/// The reason why there is no document.
#[derive(Debug)]
pub(super) enum DocumentRefusal {
    /// There is none that the token may see.
    NoSuch,
    /// There is no such pipeline that the token may see.
    NoSuchPipeline,
    /// The feed's cursor is invalid.
    Cursor,
    /// The server does not know its own address yet.
    NotYet,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for DocumentRefusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl DocumentRefusal {
    /// Returns the answer, in the form of a server of the dialect.
    pub(super) fn answer(self, journal: &Journal, dialect: Dialect) -> Response {
        match (self, dialect) {
            (Self::NoSuchPipeline, Dialect::Old) => refused(dialect, StatusCode::NOT_FOUND, "Pipeline not found"),
            (Self::NoSuch, Dialect::Old) => refused(dialect, StatusCode::NOT_FOUND, "Not Found!"),
            // With the name in it, as in GoCD's, anyone could put a text into our answer.
            (Self::NoSuchPipeline, Dialect::New) => refused(dialect, StatusCode::NOT_FOUND, "Pipeline was not found!"),
            // For an unknown stage or job GoCD answers 500, which makes clients retry.
            (Self::NoSuch, Dialect::New) => refused(dialect, StatusCode::NOT_FOUND, "Not Found!"),
            (Self::Cursor, _) => refused(dialect, StatusCode::BAD_REQUEST, "The 'before' must be an integer."),
            (Self::NotYet, _) => refused(dialect, StatusCode::SERVICE_UNAVAILABLE, "The server is starting."),
            (Self::Store(error), _) => restated(dialect, store_failed(journal, error)),
        }
    }
}
