//! The HTTP client for DX.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pipefold_sandbox::Run;
use secrecy::zeroize::Zeroizing;
use ureq::http::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderName, Response};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Proxy};

use super::classify::{Reply, classify, redirected_to};
use super::failure::{Attempt, ClientError, is_unknown_issuer};
use super::outcome::Outcome;
use super::proxy::{self, ProxyOptions};
use super::roots::{self, Search};
use super::url::DxUrl;
use super::wire::{self, HEADERS, USER_AGENT};
use crate::token::Token;

/// How much of an answer is read. DX's have a few dozen bytes; what is cut here is no JSON any more, and so no acceptance.
pub const MAX_ANSWER: usize = 64 * 1024;

/// The longest that one request can take, whatever the caller allows: clocks overflow at the end of time.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

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
    ca_file: Option<PathBuf>,
    proxy: Option<Proxy>,
    agent: Mutex<Option<Connector>>,
}

/// The HTTP library's client, and whether it trusts all that the system does.
#[derive(Clone, Debug)]
struct Connector {
    agent: Agent,
    complete: bool,
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
        let proxy = proxy.for_url(&url)?;
        // Without TLS nobody looks at it.
        let ca_file = ca_file.filter(|_| url.is_https());
        ca_file.as_ref().map_or(Ok(()), roots::check_ca_file)?;
        Ok(Self {
            url,
            ca_file,
            proxy,
            agent: Mutex::new(None),
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
        let body = wire::body(run);
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
            let mut response = request.config().timeout_global(Some(timeout)).build().send(&body[..])?;
            let body = read_body(&mut response)?;
            Ok((response, body))
        };
        match self.exchange(post, timeout) {
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
        let response = self.exchange(head, timeout)?;
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

    /// Runs an exchange, a second time if the first ended at an authority that a fuller search may find: nothing was sent by then.
    fn exchange<T>(
        &self,
        run: impl Fn(&Agent, Duration) -> Result<T, ureq::Error>,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        let timeout = timeout.min(MAX_TIMEOUT);
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let connector = self.connector(Search::Quick)?;
        let mut result = run(&connector.agent, left());
        if !connector.complete && result.as_ref().is_err_and(is_unknown_issuer) {
            result = run(&self.connector(Search::Full)?.agent, left());
        }
        result.map_err(|why| {
            let (url, proxy) = (self.url.to_string(), self.proxy.as_ref().map(proxy::display));
            ClientError::from_exchange(
                &why,
                Attempt {
                    url: &url,
                    proxy: proxy.as_deref(),
                    timeout,
                },
            )
        })
    }

    /// The library's client, made now if there is none that trusts enough. A failure is not kept: a file may be put right meanwhile.
    fn connector(&self, search: Search) -> Result<Connector, ClientError> {
        let mut kept = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(connector) if connector.complete || search == Search::Quick => Ok(connector.clone()),
            _ => Ok(kept.insert(self.connect(search)?).clone()),
        }
    }

    fn connect(&self, search: Search) -> Result<Connector, ClientError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // For a proxy's eyes; DX gets the same in a header.
            .user_agent(USER_AGENT)
            // What was found in the environment is the caller's to say; the library would look for itself.
            .proxy(self.proxy.clone());
        if !self.url.is_https() {
            return Ok(Connector {
                agent: config.build().new_agent(),
                complete: true,
            });
        }
        let roots = roots::load(self.ca_file.as_deref(), search)?;
        let tls = TlsConfig::builder().root_certs(roots.certs).build();
        let agent = config.https_only(true).tls_config(tls).build().new_agent();
        Ok(Connector {
            agent,
            complete: roots.complete,
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

/// A header's value, if it is text.
fn header<'a>(response: &'a Response<Body>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body up to [`MAX_ANSWER`]; read to its end if it is shorter, so that the connection can be kept.
fn read_body(response: &mut Response<Body>) -> Result<Vec<u8>, ureq::Error> {
    let mut body = Vec::new();
    response
        .body_mut()
        .as_reader()
        .take(MAX_ANSWER as u64 + 1)
        .read_to_end(&mut body)?;
    Ok(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn complete(client: &Client) -> Option<bool> {
        client
            .agent
            .lock()
            .unwrap()
            .as_ref()
            .map(|connector| connector.complete)
    }

    #[test]
    fn the_header_with_the_token_shows_in_no_log() {
        let header = authorization(&Token::new("sesame".to_owned()).unwrap()).unwrap();
        assert_eq!(header.as_bytes(), b"Bearer sesame");
        assert!(!format!("{header:?}").contains("sesame"));
    }

    #[test]
    fn authorities_are_looked_for_when_needed_and_fully_when_one_is_unknown() {
        let dx = dx_standin::Standin::start_tls();
        let client = |ca_file| {
            let url = DxUrl::parse(&dx.url()).unwrap();
            Client::new(ClientOptions {
                url,
                ca_file,
                proxy: ProxyOptions::default(),
            })
            .unwrap()
        };
        let unknown = client(None);
        assert_eq!(complete(&unknown), None, "nothing was read yet");
        unknown.probe(Duration::from_secs(20)).unwrap_err();
        assert_eq!(complete(&unknown), Some(true));

        let known = client(Some(dx.ca_file().to_owned()));
        known.probe(Duration::from_secs(20)).unwrap();
        let quick = roots::load(None, Search::Quick).unwrap();
        assert_eq!(
            complete(&known),
            Some(quick.complete),
            "no second search where the first was enough"
        );
    }
}
