//! A request's body, within bounds.

use super::answer::{refused, retry_later};
use super::app::App;
use super::limits::SMALL_BODY;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pipefold::dx::ErrorCode;
use std::time::Duration;
use tokio::time::timeout;

/// Format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Form,
}

/// Format that the headers name; JSON if they name none.
///
/// Text that is not said to be JSON is refused, or pages of others could send it from any browser without asking (CORS).
pub(crate) fn kind(headers: &HeaderMap) -> Result<Kind, Box<Response>> {
    let unsupported = |why: &str| Err(Box::new(refused(ErrorCode::UnsupportedMediaType, why)));
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return unsupported("send the body without a Content-Encoding");
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Kind::Json);
    };
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    match name.trim().to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => Ok(Kind::Json),
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        _ => unsupported("send JSON with `Content-Type: application/json`, or a form"),
    }
}

/// Reads a body.
///
/// # Errors
/// The answer to one that is too large, too slow, or ends early.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Box<Response>> {
    let limits = &app.limits;
    let too_large = || {
        let why = format!("the body has more than {} bytes", limits.body_size);
        Box::new(refused(ErrorCode::TooLarge, why))
    };
    // Without a length it may become large.
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or(usize::MAX);
    if length > limits.body_size && length < usize::MAX {
        return Err(too_large());
    }
    let whole = async {
        let _room = if length > SMALL_BODY {
            Some(app.large_bodies.acquire().await)
        } else {
            None
        };
        match Limited::new(body, limits.body_size).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(why) if why.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => {
                let why = "the body ends early, or its chunks are malformed";
                Err(Box::new(refused(ErrorCode::InvalidJson, why)))
            }
        }
    };
    match timeout(limits.body, whole).await {
        Ok(read) => read,
        Err(_) if app.large_bodies.available_permits() == 0 && length > SMALL_BODY => {
            let why = "the server is reading as many large bodies as it can";
            Err(Box::new(retry_later(
                ErrorCode::Unavailable,
                why,
                Duration::from_secs(5),
            )))
        }
        Err(_) => Err(Box::new(refused(ErrorCode::Timeout, "the body did not come in time"))),
    }
}
