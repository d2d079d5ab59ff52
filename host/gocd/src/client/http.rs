//! The HTTP client for a GoCD server, and its options.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use pipefold::http::{
    ProxyOptions, ServerAddress, Transport, TransportOptions, USER_AGENT, header, read_body, retry_after,
};
use ureq::Agent;
use ureq::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RETRY_AFTER, USER_AGENT as USER_AGENT_NAME, WWW_AUTHENTICATE,
};

use super::answer::{self, Expected, FetchError, Source, deprecation_notice};
use super::credentials::{Credentials, CredentialsError};
use super::pace::{Pace, Withheld};
use crate::address::{Resource, ServerUrl, encode};
use crate::documents::PipelineLocator;

/// The default of the longest document, in bytes. A page of a feed has 50 KiB, and a run with the commits of a year and all their files
/// some MiB. A document is in memory together with the values read from it, and a reader is to stay small.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// The longest time for one request. By GoCD's own source a page of the feed takes 2 s on big servers; this is fifteen times that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of times a request with a transient failure is sent.
const TRIES: u32 = 3;

/// The pause after the first failure: long enough for a proxy to notice a restarted server. The next is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The options of a [`Client`]. [`ClientOptions::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server.
    pub server: ServerUrl,
    /// The credentials.
    pub credentials: Credentials,
    /// True if credentials may cross a network without TLS. To this machine they always may.
    pub allow_plain: bool,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way to an `https` server.
    pub proxy: ProxyOptions,
    /// The longest time for one request, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// The longest document, in bytes.
    pub max_document: usize,
    /// The number of times a request with a transient failure is sent; at least once.
    pub tries: u32,
    /// The pause after the first failure, with up to as much again at random; the next is twice as long.
    pub first_pause: Duration,
    /// The shortest time between the end of one request and the start of the next.
    pub min_pause: Duration,
    /// Set to true, it ends pauses and prevents further requests.
    pub stop: Option<Arc<AtomicBool>>,
}

impl ClientOptions {
    /// Returns the defaults: no credentials, 30 s a request, 16 MiB a document, 3 tries and no pause between requests.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self {
            server,
            credentials: Credentials::None,
            allow_plain: false,
            ca_file: None,
            proxy: ProxyOptions::default(),
            timeout: TIMEOUT,
            max_document: MAX_DOCUMENT,
            tries: TRIES,
            first_pause: FIRST_PAUSE,
            min_pause: Duration::ZERO,
            stop: None,
        }
    }
}

/// The reason why there is no client. The messages never show a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The credentials would cross the network readable by anyone.
    #[error(
        "http://{host} would receive the password or token unencrypted: give the server's https:// address, or, if the \
         network may see it, --insecure-http"
    )]
    PlainHttp {
        /// The server's name.
        host: String,
    },
    /// The server's address cannot be called.
    #[error("the address {0} cannot be called: it looks like https://ci.example.com/go")]
    Address(String),
    /// The credentials cannot be sent.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The CA file or the proxy cannot be used.
    #[error(transparent)]
    Transport(#[from] pipefold::http::ClientError),
}

/// The most redirections of one request. A server sends one.
const MAX_REDIRECTS: usize = 3;

/// The bytes read of an answer that is not a document, so that the connection can be kept: error pages have a few KiB.
const MAX_ERROR_PAGE: usize = 64 * 1024;

/// A client for one GoCD server, which sends one request at a time. It keeps its connection between requests.
#[derive(Debug)]
pub struct Client {
    server: ServerUrl,
    credentials: Credentials,
    transport: Transport,
    timeout: Duration,
    max_document: usize,
    pace: Pace,
    requests: AtomicU64,
    deprecation: OnceLock<String>,
}

/// An answer that was read.
enum Answer {
    Document(Vec<u8>),
    Redirect(Option<String>),
}

impl Client {
    /// Makes a client. No request is sent yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the credentials cannot be sent, or not safely, or the CA file or proxy cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let ClientOptions {
            server, credentials, ..
        } = options;
        let origin = ServerAddress::of(&server.to_string()).ok_or_else(|| ClientError::Address(server.to_string()))?;
        credentials.check()?;
        if !(credentials.is_none() || origin.https || origin.is_loopback() || options.allow_plain) {
            return Err(ClientError::PlainHttp { host: origin.host });
        }
        let transport = Transport::new(TransportOptions {
            origin,
            ca_file: options.ca_file,
            proxy: options.proxy,
        })?;
        Ok(Self {
            server,
            credentials,
            transport,
            timeout: options.timeout,
            max_document: options.max_document,
            pace: Pace::new(options.min_pause, options.first_pause, options.tries, options.stop),
            requests: AtomicU64::new(0),
            deprecation: OnceLock::new(),
        })
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The number of requests sent so far, with retries and redirections.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The server's first deprecation notice of the Feeds API, shortened. To be shown once.
    #[must_use]
    pub fn deprecation(&self) -> Option<String> {
        self.deprecation.get().cloned()
    }

    /// Sends a request, and again after a transient failure.
    fn ask(&self, url: &str, expected: Expected) -> Result<Answer, FetchError> {
        let mut pauses = self.pace.pauses();
        loop {
            self.pace.wait().map_err(|held| not_asked(url, &held))?;
            let answer = self.ask_once(url, expected);
            let asked_to_wait = match &answer {
                Err(FetchError::Unavailable { retry_after, .. }) => *retry_after,
                _ => None,
            };
            self.pace.over(asked_to_wait);
            match (answer, pauses.next()) {
                (Err(why), Some(pause)) if why.is_transient() && !self.pace.is_quiet_for_long() => {
                    // A request failed: only reporting the stop would hide why.
                    self.pace.sleep(pause).map_err(|_| why)?;
                }
                (answer, _) => return answer,
            }
        }
    }

    fn not_followed(&self, asked: Option<&Resource>, url: &str, location: Option<&str>) -> FetchError {
        answer::refusal(asked, url, location, &self.credentials)
    }

    fn ask_once(&self, url: &str, expected: Expected) -> Result<Answer, FetchError> {
        let request = |agent: &Agent, timeout: Duration| {
            let mut request = agent
                .get(url)
                .header(ACCEPT, expected.accept())
                // Jetty would compress, and the unpacked size is hard to bound.
                .header(ACCEPT_ENCODING, "identity")
                .header(USER_AGENT_NAME, USER_AGENT);
            if let Some(authorization) = self.credentials.header() {
                request = request.header(AUTHORIZATION, authorization);
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            let mut response = request.config().timeout_global(Some(timeout)).build().call()?;
            if response.status() != 200 {
                // Only so that the connection can be kept: the status is all that is used.
                let _ = read_body(&mut response, MAX_ERROR_PAGE);
                return Ok((response, None));
            }
            // An answer that announces too many bytes is not read.
            let announced = response.body().content_length().unwrap_or(0);
            if announced > u64::try_from(self.max_document).unwrap_or(u64::MAX) {
                return Ok((response, None));
            }
            let body = read_body(&mut response, self.max_document)?;
            let body = (body.len() <= self.max_document).then_some(body);
            Ok((response, body))
        };
        let unavailable = |why: pipefold::http::ClientError| FetchError::Unavailable {
            status: None,
            retry_after: None,
            why: why.to_string(),
        };
        let (response, body) = self
            .transport
            .exchange(&url, self.timeout, request)
            .map_err(unavailable)?;
        if let Some(notice) = deprecation_notice(response.headers()) {
            self.deprecation.get_or_init(|| self.credentials.quote(&notice));
        }
        match (response.status().as_u16(), body) {
            (200, Some(body)) => expected.check(url, &body).map(|()| Answer::Document(body)),
            (200, None) => Err(FetchError::TooLarge(format!(
                "{url} gave more than {} bytes, the limit for a document",
                self.max_document
            ))),
            (301 | 302 | 303 | 307 | 308, _) => Ok(Answer::Redirect(header(&response, &LOCATION).map(str::to_owned))),
            (status, _) => {
                let wants_credentials = response.headers().contains_key(WWW_AUTHENTICATE);
                let pause =
                    header(&response, &RETRY_AFTER).and_then(|text| retry_after(text, SystemTime::now().into()));
                Err(answer::error(status, wants_credentials, pause, url))
            }
        }
    }
}

fn not_asked(url: &str, held: &Withheld) -> FetchError {
    let (retry_after, why) = match held {
        Withheld::Stopped => (None, "the reader is stopping".to_owned()),
        Withheld::Quiet(left) => (
            Some(*left),
            format!("the server asked for a pause of {} s more", left.as_secs()),
        ),
    };
    FetchError::Unavailable {
        status: None,
        retry_after,
        why: format!("{url} was not asked for: {why}"),
    }
}

impl Source for Client {
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError> {
        let mut url = self.server.url(resource);
        for _ in 0..=MAX_REDIRECTS {
            match self.ask(&url, Expected::Xml)? {
                Answer::Document(body) => return Ok(body),
                Answer::Redirect(location) => {
                    let target = answer::target(resource, location.as_deref())
                        .ok_or_else(|| self.not_followed(Some(resource), &url, location.as_deref()))?;
                    url = self.server.url(&target);
                }
            }
        }
        Err(FetchError::Redirected(format!(
            "{} is redirected more than {MAX_REDIRECTS} times: the server leads in a circle",
            self.server.url(resource)
        )))
    }

    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError> {
        let url = format!(
            "{}/api/pipelines/{}/{}",
            self.server,
            encode(run.name.as_str()),
            run.counter
        );
        match self.ask(&url, Expected::Json)? {
            Answer::Document(body) => Ok(body),
            Answer::Redirect(location) => Err(self.not_followed(None, &url, location.as_deref())),
        }
    }
}
