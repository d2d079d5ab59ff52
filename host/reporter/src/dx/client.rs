//! The HTTP client for DX, and DX's answers.

use super::classify::{Outcome, Reply, classify, redirected_to};
use super::jobs::{self, classify_job};
use super::url::DxUrl;
use super::wire;
use super::wire::HEADERS;
use crate::http::{ClientError, ProxyOptions, Transport, TransportOptions, header, read_body};
use crate::token::Token;
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Job, Run};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};

/// The most bytes of an answer that are read. DX's have a few dozen; a longer one is cut, so it is no JSON and no acceptance.
pub const MAX_ANSWER: usize = 64 * 1024;

/// The options of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The address of DX.
    pub url: DxUrl,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy settings.
    pub proxy: ProxyOptions,
}

/// A client for one DX instance. It keeps its connection between requests, and may be used by several threads.
///
/// Creation is cheap; the authorities are read when they are first needed. Redirects are not followed, so that a token goes to the given
/// host and no other.
#[derive(Debug)]
pub struct Client {
    url: DxUrl,
    transport: Transport,
}

/// The answer to a probe: a server answers at DX's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The HTTP status. Any is good: the request was not one of DX's.
    pub status: u16,
    /// The time until the answer's head, including the connection.
    pub latency: Duration,
    /// The host of a redirect, or `the same host`: a sign that the address is wrong, since DX sends none.
    pub redirected_to: Option<String>,
}

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] or [`ClientError::CaFile`] if one is needed and cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let ClientOptions { url, ca_file, proxy } = options;
        let origin = url.origin();
        let transport = Transport::new(TransportOptions { origin, ca_file, proxy })?;
        Ok(Self { url, transport })
    }

    /// The address that it sends to.
    #[must_use]
    pub fn url(&self) -> &DxUrl {
        &self.url
    }

    /// Sends a run to DX once and reads the answer, all within `timeout`. The caller decides about repetition.
    #[must_use]
    pub fn upsert(&self, run: &Run, token: &Token, timeout: Duration) -> Outcome {
        self.post(&self.url.endpoint(), &wire::body(run), classify, token, timeout)
    }

    /// Sends a job of a run to DX once, as [`Client::upsert`] sends a run. DX refuses it before its run.
    #[must_use]
    pub fn upsert_job(&self, run: &Run, job: &Job, token: &Token, timeout: Duration) -> Outcome {
        let endpoint = self.url.job_endpoint();
        self.post(&endpoint, &jobs::job_body(run, job), classify_job, token, timeout)
    }

    /// Posts a body once; `classify` reads the answer.
    fn post(&self, endpoint: &str, body: &[u8], classify: Classify, token: &Token, timeout: Duration) -> Outcome {
        let Some(authorization) = authorization(token) else {
            // Cannot happen: a token has visible ASCII only, which every header can carry.
            return Outcome::Retry {
                after: None,
                why: "the DX token cannot be sent in a header".to_owned(),
            };
        };
        let post = |agent: &Agent, timeout: Duration| {
            let request = agent.post(endpoint).header(AUTHORIZATION, authorization.clone());
            let request = HEADERS
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value));
            let mut response = request.config().timeout_global(Some(timeout)).build().send(body)?;
            let body = read_body(&mut response, MAX_ANSWER)?;
            Ok((response, body))
        };
        match self.transport.exchange(&self.url, timeout, post) {
            Err(why) if why.is_lasting() => Outcome::Unreachable { why: why.to_string() },
            Err(why) => Outcome::Retry {
                after: None,
                why: why.to_string(),
            },
            Ok((response, body)) => {
                let reply = Reply {
                    status: response.status().as_u16(),
                    retry_after: header(&response, &RETRY_AFTER),
                    location: header(&response, &LOCATION),
                    body: &body,
                };
                classify(&reply, SystemTime::now().into(), Some(token))
            }
        }
    }

    /// Checks that DX can be reached: requests the head of the method's page, without a token and without a run.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if nothing answers within `timeout`.
    pub fn probe(&self, timeout: Duration) -> Result<Probe, ClientError> {
        let start = Instant::now();
        let endpoint = self.url.endpoint();
        let head = |agent: &Agent, timeout: Duration| {
            let request = HEADERS[1..]
                .iter()
                .fold(agent.head(&endpoint), |request, (name, value)| {
                    request.header(*name, *value)
                });
            request.config().timeout_global(Some(timeout)).build().call()
        };
        let response = self.transport.exchange(&self.url, timeout, head)?;
        let redirected_to = response
            .status()
            .is_redirection()
            .then(|| redirected_to(header(&response, &LOCATION), None));
        Ok(Probe {
            status: response.status().as_u16(),
            latency: start.elapsed(),
            redirected_to,
        })
    }
}

/// Reads an answer into an outcome.
type Classify = fn(&Reply<'_>, DateTime<Utc>, Option<&Token>) -> Outcome;

/// The header that carries the token (RFC 6750, section 2.1), marked so that it shows in no log.
fn authorization(token: &Token) -> Option<HeaderValue> {
    let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&bearer).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The body of an answer. As JSON: `{"ok":true}`, or `{"ok":false,"error":"invalid_json","message":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// True if the request was accepted. The HTTP status alone does not show that.
    pub ok: bool,
    /// The error code, if it was refused.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A sentence for people.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A fuller sentence, in some answers.
    #[serde(default, deserialize_with = "details", skip_serializing)]
    error_details: Option<String>,
}

impl Answer {
    /// `{"ok":true}`.
    #[must_use]
    pub fn accepted() -> Self {
        Self {
            ok: true,
            error: None,
            message: None,
            error_details: None,
        }
    }

    /// An error with its code and a sentence.
    #[must_use]
    pub fn refused(error: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            error: Some(error.into()),
            message: Some(message.into()),
            error_details: None,
        }
    }

    /// The message for people: `error_details.message` if there is one, as DX's own command reads it, else `message`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.error_details.as_deref().or(self.message.as_deref())
    }

    /// Reads a body. None if it is not an object with a boolean `ok`: then it was not DX that answered.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        // RFC 8259, section 8.1: a reader may skip a byte order mark.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        // Serde would read an array, too.
        if !body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        serde_json::from_slice(body).ok()
    }
}

/// Reads text unchanged, and any other value but null as JSON text: a message of the wrong type is still shown.
fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Reads the message in an object; any other value gives none.
fn details<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(
        match Value::deserialize(deserializer)?.get_mut("message").map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        },
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_header_with_the_token_shows_in_no_log() {
        let header = authorization(&Token::new("sesame".to_owned()).unwrap()).unwrap();
        assert_eq!(header.as_bytes(), b"Bearer sesame");
        assert!(!format!("{header:?}").contains("sesame"));
    }

    #[test]
    fn reads_and_writes() {
        assert_eq!(Answer::parse(br#" {"ok":true,"more":[1]} "#), Some(Answer::accepted()));
        let refused = Answer::refused("invalid_json", "no");
        assert_eq!(
            serde_json::to_string(&refused).unwrap(),
            r#"{"ok":false,"error":"invalid_json","message":"no"}"#
        );
        assert_eq!(
            Answer::parse(br#"{"ok":false,"error":"invalid_json","message":"no"}"#),
            Some(refused)
        );
        assert_eq!(serde_json::to_string(&Answer::accepted()).unwrap(), r#"{"ok":true}"#);
        let odd = Answer::parse(br#"{"ok":false,"error":17,"message":{"text":"no"}}"#).unwrap();
        assert_eq!(
            (odd.error.as_deref(), odd.message.as_deref()),
            (Some("17"), Some(r#"{"text":"no"}"#))
        );
        assert_eq!(Answer::parse(br#"{"ok":false,"error":null}"#).unwrap().error, None);
    }

    #[test]
    fn the_fuller_message_takes_precedence() {
        let words = |body: &str| Answer::parse(body.as_bytes()).unwrap().text().map(str::to_owned);
        let full = r#"{"ok":false,"error":"e","message":"short","error_details":{"message":"full","code":7}}"#;
        assert_eq!(words(full).as_deref(), Some("full"));
        assert_eq!(
            words(r#"{"ok":false,"error_details":{"message":"full"}}"#).as_deref(),
            Some("full")
        );
        for odd in ["7", "null", "[]", "{}", r#"{"message":7}"#, r#"{"message":""}"#] {
            let body = format!(r#"{{"ok":false,"message":"short","error_details":{odd}}}"#);
            assert_eq!(words(&body).as_deref(), Some("short"), "{odd}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!(
            r#"{{"ok":false,"message":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Answer::parse(deep.as_bytes()), None);
    }

    #[test]
    fn anything_else_is_not_from_dx() {
        for body in [
            "",
            "{}",
            "[]",
            "[true]",
            "true",
            "\"ok\"",
            r#"{"ok":"true"}"#,
            r#"{"ok":1}"#,
            "<html>",
            r#"{"ok":true"#,
            "\u{0}",
        ] {
            assert_eq!(Answer::parse(body.as_bytes()), None, "{body}");
        }
    }
}
