//! The HTTP client for DX.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use pipefold_sandbox::{Notification, Run};
use secrecy::zeroize::Zeroizing;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};

use super::classify::{Reply, classify, redirected_to};
use super::outcome::Outcome;
use super::steps::{self, TAKES_STEPS};
use super::url::DxUrl;
use super::wire::{self, HEADERS};
use crate::http::{ClientError, ProxyOptions, Transport, TransportOptions, header, read_body};
use crate::token::Token;

/// How much of an answer is read. DX's have a few dozen bytes; what is cut here is no JSON any more, and so no acceptance.
pub const MAX_ANSWER: usize = 64 * 1024;

/// What a [`Client`] is made from.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Where DX is.
    pub url: DxUrl,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way.
    pub proxy: ProxyOptions,
}

/// A client for one DX instance. It keeps its connection between requests, and may be used by several threads.
///
/// Making one costs next to nothing; what TLS needs is read when it is first needed. Redirects are not followed, so that a token goes to
/// the given host and no other.
#[derive(Debug)]
pub struct Client {
    url: DxUrl,
    transport: Transport,
    /// The server said that it shows what runs were made of.
    takes_steps: AtomicBool,
}

/// That something answers where DX should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The HTTP status. Any will do: the request was none that DX knows.
    pub status: u16,
    /// From the start to the answer's head, with all that a first connection needs.
    pub latency: Duration,
    /// The host of a redirect, or `the same host`: a sign that the address is wrong, since DX sends none.
    pub redirected_to: Option<String>,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] or [`ClientError::CaFile`] if one is needed and cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let ClientOptions { url, ca_file, proxy } = options;
        let origin = url.origin();
        let transport = Transport::new(TransportOptions { origin, ca_file, proxy })?;
        Ok(Self {
            url,
            transport,
            takes_steps: AtomicBool::new(false),
        })
    }

    /// Where it sends to.
    #[must_use]
    pub fn url(&self) -> &DxUrl {
        &self.url
    }

    /// Tells DX about a run and reads the answer, all within `timeout`. Sent once: whether to try again is the caller's to decide.
    #[must_use]
    pub fn upsert(&self, run: &Run, token: &Token, timeout: Duration) -> Outcome {
        self.post(&wire::body(run), token, timeout)
    }

    /// Whether the server said in an earlier answer that it takes steps. DX does not.
    #[must_use]
    pub fn takes_steps(&self) -> bool {
        self.takes_steps.load(Relaxed)
    }

    /// Tells a server that takes them of a run's steps. They are there to be looked at: that they do not arrive is no failure. `None` if
    /// nothing was sent.
    pub fn tell_steps<'a>(
        &self,
        run: &'a Run,
        notifications: impl IntoIterator<Item = &'a Notification>,
        token: &Token,
        timeout: Duration,
    ) -> Option<Outcome> {
        if !self.takes_steps() {
            return None;
        }
        let outcome = self.post(&steps::body(run, notifications)?, token, timeout);
        tracing::debug!(%outcome, "told of the run's steps");
        Some(outcome)
    }

    fn post(&self, body: &[u8], token: &Token, timeout: Duration) -> Outcome {
        let endpoint = self.url.endpoint();
        let Some(authorization) = authorization(token) else {
            // A token has visible ASCII only, which every header can carry.
            return Outcome::Retry {
                after: None,
                why: "the DX token cannot be sent in a header".to_owned(),
            };
        };
        let post = |agent: &Agent, timeout: Duration| {
            let request = agent.post(&endpoint).header(AUTHORIZATION, authorization.clone());
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
                if header(&response, &HeaderName::from_static(TAKES_STEPS.0)) == Some(TAKES_STEPS.1) {
                    self.takes_steps.store(true, Relaxed);
                }
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

    /// Whether DX can be reached: asks for the head of the method's page, without a token and without a run.
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

/// The header that carries the token (RFC 6750, section 2.1), marked so that it shows in no log.
fn authorization(token: &Token) -> Option<HeaderValue> {
    let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&bearer).ok()?;
    value.set_sensitive(true);
    Some(value)
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
}
