//! The body of an upsert: its bounds, its format, and the arguments that DX would ignore.

use crate::request::{Limits, SMALL_BODY, refused, retry_later};
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pipefold::dx::{ErrorCode, from_foreign_json, from_form};
use serde::de::DeserializeOwned;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Form,
}

/// Returns the format that the headers name; JSON if they name none.
///
/// Other text types are refused, or pages of other sites could send JSON from any browser without permission (CORS).
pub fn format(headers: &HeaderMap) -> Result<Format, Box<Response>> {
    let unsupported = |why: &str| Err(Box::new(refused(ErrorCode::UnsupportedMediaType, why)));
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return unsupported("send the body without a Content-Encoding");
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    match name.trim().to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => Ok(Format::Json),
        "application/x-www-form-urlencoded" => Ok(Format::Form),
        _ => unsupported("send JSON with `Content-Type: application/json`, or a form"),
    }
}

/// The bounds on bodies, shared by all requests.
pub struct Bodies {
    size: usize,
    time: Duration,
    large: Semaphore,
}

impl Bodies {
    /// Bodies within the bounds of `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            size: limits.body_size,
            time: limits.body,
            large: Semaphore::new(limits.large_bodies),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The answer to one that is too large, too slow, or ends early.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Box<Response>> {
        let too_large = || {
            let why = format!("the body has more than {} bytes", self.size);
            Box::new(refused(ErrorCode::TooLarge, why))
        };
        // A body without a length may become large.
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let length: usize = length.unwrap_or(usize::MAX);
        if length > self.size && length < usize::MAX {
            return Err(too_large());
        }
        let whole = async {
            let _room = if length > SMALL_BODY {
                Some(self.large.acquire().await)
            } else {
                None
            };
            match Limited::new(body, self.size).collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(why) if why.is::<LengthLimitError>() => Err(too_large()),
                Err(_) => {
                    let why = "the body ends early, or its chunks are malformed";
                    Err(Box::new(refused(ErrorCode::InvalidJson, why)))
                }
            }
        };
        match timeout(self.time, whole).await {
            Ok(read) => read,
            Err(_) if self.large.available_permits() == 0 && length > SMALL_BODY => {
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
}

/// The most unknown arguments that are named. More of them are another mistake than a wrong name.
const MOST_NAMED: usize = 8;

/// The characters of an unknown name that are shown: the longest known one has 15.
const SHOWN: usize = 40;

/// Parses a body. Some tools send a byte order mark first, which is not a part of the JSON (RFC 8259, section 8.1).
///
/// # Errors
/// The fault, in a sentence.
pub fn arguments<T: DeserializeOwned>(format: Format, body: &[u8]) -> Result<T, String> {
    let body = text(body);
    let begins = body.trim_ascii_start().first();
    match (format, begins) {
        (Format::Form, Some(b'{' | b'[')) => Err(
            "the body looks like JSON and was sent as a form: send the header `Content-Type: application/json`"
                .to_owned(),
        ),
        (Format::Form, _) => from_form(body).map_err(|why| why.to_string()),
        // The parser reports an array; an empty body was cut.
        (Format::Json, Some(b'{' | b'[') | None) => from_foreign_json(body).map_err(|why| why.to_string()),
        (Format::Json, Some(_)) => {
            Err("the JSON body is not an object of arguments, such as {\"pipeline_source\": …}".to_owned())
        }
    }
}

/// Returns a warning about the arguments of a body that are none of the known ones, if there are any.
pub fn unknown(format: Format, body: &[u8], known: &[&str]) -> Option<String> {
    let body = text(body);
    let names: Vec<Cow<'_, str>> = match format {
        Format::Json => {
            let all: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(body).ok()?;
            all.into_keys().collect()
        }
        Format::Form => form_urlencoded::parse(body).map(|(name, _)| name).collect(),
    };
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| !known.contains(&&***name))
        .map(|name| name.chars().filter(|c| !c.is_control()).take(SHOWN).collect())
        .collect();
    let more = unknown.len().saturating_sub(MOST_NAMED);
    let mut named = unknown[..unknown.len() - more].join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    (!unknown.is_empty()).then(|| format!("unknown arguments, which DX ignores: {named}"))
}

fn text(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use pipefold::dx::{ARGUMENT_NAMES, Arguments};

    #[test]
    fn frequent_mistakes_are_named() {
        let why = |format, body: &str| arguments::<Arguments>(format, body.as_bytes()).unwrap_err();
        assert!(why(Format::Form, r#" {"pipeline_name":"p"}"#).contains("Content-Type: application/json"));
        for body in ["null", "3", "\"x\""] {
            assert!(why(Format::Json, body).contains("not an object"), "{body}");
        }
        assert!(why(Format::Json, "[]").contains("array"));
        assert!(why(Format::Json, "").contains("parsed"));
        let marked: Arguments = arguments(Format::Json, "\u{feff}{\"pipeline_name\":\"p\"}".as_bytes()).unwrap();
        assert_eq!(marked.pipeline_name.as_deref(), Some("p"));
    }

    #[test]
    fn unknown_arguments_are_named_and_known_ones_are_not() {
        let of = |format, body: &str| unknown(format, body.as_bytes(), &ARGUMENT_NAMES);
        let body: Vec<String> = ARGUMENT_NAMES.iter().map(|name| format!("\"{name}\":null")).collect();
        let body = format!("{{{}}}", body.join(","));
        assert_eq!(of(Format::Json, &body), None);
        let warning = of(
            Format::Json,
            r#"{"branch":"main","commit":{"a":[1]},"status":"success"}"#,
        )
        .unwrap();
        assert!(warning.ends_with(": branch, commit"), "{warning}");
        let warning = of(Format::Form, "status=x&state=y").unwrap();
        assert!(warning.ends_with(": state"), "{warning}");
        let many: Vec<String> = (0..20).map(|n| format!("x{n}=1")).collect();
        assert!(of(Format::Form, &many.join("&")).unwrap().ends_with("and 12 more"));
        assert!(of(Format::Form, &"x".repeat(100_000)).unwrap().len() < 200);
    }
}
