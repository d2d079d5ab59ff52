//! Connections to one server, its address, and the reading of answers.

use super::error::{ClientError, ExchangeContext, is_unknown_issuer};
use super::proxy::ProxyOptions;
use super::roots::Search;
use super::{USER_AGENT, connect, proxy, roots};
use pipefold_sandbox::foreign;
use pipefold_sandbox::foreign::{EXCERPT, is_hidden};
use std::fmt;
use std::fmt::Display;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::{HeaderName, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Proxy};

/// The longest time of one exchange, whatever the caller allows: a much longer one would overflow a clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The most idle connections that are kept.
const MAX_IDLE: usize = 64;

/// The options of a [`Transport`].
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// The server.
    pub origin: ServerAddress,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy settings.
    pub proxy: ProxyOptions,
}

/// Connections to one server, kept between requests and shared by threads.
///
/// Creation is cheap; the authorities are read when they are first needed. Redirects are not followed.
#[derive(Debug)]
pub struct Transport {
    https: bool,
    ca_file: Option<PathBuf>,
    proxy: Option<Proxy>,
    agent: Mutex<Option<Connector>>,
}

/// The HTTP library's client, and true if it trusts all authorities of the system.
#[derive(Clone, Debug)]
struct Connector {
    agent: Agent,
    complete: bool,
}

impl Transport {
    /// Creates a transport.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] or [`ClientError::CaFile`] if one is needed and cannot be used.
    pub fn new(options: TransportOptions) -> Result<Self, ClientError> {
        let TransportOptions { origin, ca_file, proxy } = options;
        let proxy = proxy.for_origin(&origin)?;
        // Not used without TLS.
        let ca_file = ca_file.filter(|_| origin.https);
        ca_file.as_ref().map_or(Ok(()), roots::check_ca_file)?;
        Ok(Self {
            https: origin.https,
            ca_file,
            proxy,
            agent: Mutex::new(None),
        })
    }

    /// Runs an exchange, a second time if the first failed at an unknown authority, which a fuller search may find: nothing was sent by
    /// then. `run` has to end within its given time, at most `timeout` in all; messages name the server by `url`.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if there was no answer.
    pub fn exchange<T>(
        &self,
        url: &impl Display,
        timeout: Duration,
        run: impl Fn(&Agent, Duration) -> Result<T, ureq::Error>,
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
            let (url, proxy) = (url.to_string(), self.proxy.as_ref().map(proxy::display));
            ClientError::from_exchange(
                &why,
                ExchangeContext {
                    url: &url,
                    proxy: proxy.as_deref(),
                    timeout,
                },
            )
        })
    }

    /// The library's client, made now if there is none with this search. A failure is not remembered: the file may be corrected meanwhile.
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
            // One for each request under way of a job's steps or of an import: the library keeps three.
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(MAX_IDLE)
            // For the proxy; requests to the server have their own header.
            .user_agent(USER_AGENT)
            // Without this header a server may answer in any coding (RFC 9110, section 12.5.3).
            .accept_encoding("identity")
            // The caller gives the environment's proxy; the library would read the environment itself.
            .proxy(self.proxy.clone());
        if !self.https {
            return Ok(Connector {
                agent: connect::agent(config.build()),
                complete: true,
            });
        }
        let roots = roots::load(self.ca_file.as_deref(), search)?;
        let tls = TlsConfig::builder().root_certs(roots.certs).build();
        let agent = connect::agent(config.https_only(true).tls_config(tls).build());
        Ok(Connector {
            agent,
            complete: roots.complete,
        })
    }
}

/// Scheme, host and port of a server (RFC 6454), on which TLS and the proxy depend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// True if it is reached through TLS.
    pub https: bool,
    /// The host's name or address in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port, given or implied by the scheme.
    pub port: u16,
}

impl ServerAddress {
    /// The server of an absolute `http` or `https` address; none for any other text.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(default_port(https));
        (!host.is_empty()).then(|| Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Returns true if the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || self.host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
    }
}

/// The address, without a port that the scheme implies.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.https { "https://" } else { "http://" })?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port == default_port(self.https) {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Returns a header's value, if it is text.
#[must_use]
pub fn header<'a>(response: &'a Response<Body>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Reads the body, or its first `limit` bytes and one more, which shows that it is longer. A shorter body is read to its end, so that the
/// connection can be kept.
///
/// # Errors
///
/// The error of the HTTP library, also for a body that ends before it is complete.
pub fn read_body(response: &mut Response<Body>, limit: usize) -> Result<Vec<u8>, ureq::Error> {
    let mut body = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    response.body_mut().as_reader().take(limit).read_to_end(&mut body)?;
    Ok(body)
}

/// `text` as an [excerpt](foreign::excerpt), with spaces for line ends and `(token)` in the place of each of `secrets`.
#[must_use]
pub fn quote<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let line: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    // A secret may be there in pieces, with hidden characters between them. Cutting comes last, or it could leave a half of one.
    let visible: String = line.chars().filter(|c| !is_hidden(*c)).collect();
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
    let safe = secrets.fold(visible.clone(), |text, secret| text.replace(secret, "(token)"));
    foreign::cut(if safe == visible { line.trim() } else { safe.trim() }, EXCERPT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn complete(transport: &Transport) -> Option<bool> {
        let connector = transport.agent.lock().unwrap();
        connector.as_ref().map(|connector| connector.complete)
    }

    #[test]
    fn authorities_are_read_when_needed() {
        let dx = dx_standin::Standin::start_tls();
        let url = dx.url();
        let transport = |ca_file| {
            Transport::new(TransportOptions {
                origin: ServerAddress::of(&url).unwrap(),
                ca_file,
                proxy: ProxyOptions::default(),
            })
            .unwrap()
        };
        let probe = |transport: &Transport| {
            transport.exchange(&url, Duration::from_secs(20), |agent, timeout| {
                let request = agent.head(&url).config().timeout_global(Some(timeout)).build();
                request.call()
            })
        };
        let unknown = transport(None);
        assert_eq!(complete(&unknown), None, "nothing was read yet");
        probe(&unknown).unwrap_err();
        assert_eq!(complete(&unknown), Some(true));

        let known = transport(Some(dx.ca_file().to_owned()));
        probe(&known).unwrap();
        let quick = roots::load(None, Search::Quick).unwrap();
        assert_eq!(
            complete(&known),
            Some(quick.complete),
            "no second search where the first was enough"
        );
    }

    #[test]
    fn parts_of_an_address() {
        let cases = [
            ("https://CI.example/go", (true, "ci.example", 443)),
            ("HTTPS://a.example:8154/go", (true, "a.example", 8154)),
            ("http://localhost:8153/go/api?x=1", (false, "localhost", 8153)),
            ("http://[::1]:80", (false, "::1", 80)),
            ("http://127.0.0.1", (false, "127.0.0.1", 80)),
        ];
        for (url, (https, host, port)) in cases {
            let host = host.to_owned();
            assert_eq!(
                ServerAddress::of(url),
                Some(ServerAddress { https, host, port }),
                "{url}"
            );
        }
        for url in [
            "https://a.example",
            "https://a.example:80",
            "http://[::1]",
            "http://[::1]:8153",
        ] {
            assert_eq!(ServerAddress::of(url).unwrap().to_string(), url);
        }
        for url in ["", "/go", "ftp://a", "a.example", "https://", "http://a b"] {
            assert_eq!(ServerAddress::of(url), None, "{url}");
        }
    }

    #[test]
    fn this_machine() {
        for url in [
            "http://localhost",
            "https://LOCALHOST",
            "http://127.9.9.9",
            "http://[::1]:1",
        ] {
            assert!(ServerAddress::of(url).unwrap().is_loopback(), "{url}");
        }
        for url in [
            "http://localhost.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
        ] {
            assert!(!ServerAddress::of(url).unwrap().is_loopback(), "{url}");
        }
    }

    #[test]
    fn lines_join_and_hidden_characters_show() {
        assert_eq!(
            quote(" a\r\nb\x1b[31mc\u{202e}d\0\u{2028}e ", []),
            r"a  b\u{1b}[31mc\u{202e}d\u{0} e"
        );
        assert_eq!(quote("\n::error::##[x", []), ": :error::# #[x");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(quote(&"é".repeat(EXCERPT), []).chars().count(), EXCERPT);
        let cut = quote(&"é".repeat(EXCERPT + 1), []);
        assert!(cut.chars().count() == EXCERPT && cut.ends_with("é…"));
    }

    #[test]
    fn the_token_is_removed_in_every_form() {
        let token = ["sesame-open"];
        assert_eq!(quote("key sesame-open!", token), "key (token)!");
        assert_eq!(quote("key ses\0ame-\u{200b}open!", token), "key (token)!");
        let at_the_cut = format!("{}sesame-open", "x".repeat(EXCERPT - 5));
        assert!(!quote(&at_the_cut, token).contains("ses"));
        assert_eq!(quote("ab", ["", "b"]), "a(token)", "an empty one is nowhere");
    }
}
