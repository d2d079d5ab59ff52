//! The way to a server.

use super::error::{ClientError, ExchangeContext, is_unknown_issuer};
use super::origin::ServerAddress;
use super::proxy::{self, ProxyOptions};
use super::roots::{self, Search};
use super::{USER_AGENT, connect};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::tls::TlsConfig;
use ureq::{Agent, Proxy};

/// The longest that one exchange can take, whatever the caller allows: clocks overflow at the end of time.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// What a [`Transport`] is made from.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// The server.
    pub origin: ServerAddress,
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way.
    pub proxy: ProxyOptions,
}

/// Connections to one server, kept between requests and shared by threads.
///
/// Making one costs next to nothing; what TLS needs is read when it is first needed. Redirects are not followed.
#[derive(Debug)]
pub struct Transport {
    https: bool,
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

impl Transport {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] or [`ClientError::CaFile`] if one is needed and cannot be used.
    pub fn new(options: TransportOptions) -> Result<Self, ClientError> {
        let TransportOptions { origin, ca_file, proxy } = options;
        let proxy = proxy.for_origin(&origin)?;
        // Without TLS it is not used.
        let ca_file = ca_file.filter(|_| origin.https);
        ca_file.as_ref().map_or(Ok(()), roots::check_ca_file)?;
        Ok(Self {
            https: origin.https,
            ca_file,
            proxy,
            agent: Mutex::new(None),
        })
    }

    /// Runs an exchange, a second time if the first ended at an authority that a fuller search may find: nothing was sent by then. `run`
    /// is to end within the time it is given, which is at most `timeout` in all; `url` is what a message calls the server.
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
            // For a proxy's eyes; the server gets what the request says.
            .user_agent(USER_AGENT)
            // Without a word of it a server may answer in any coding (RFC 9110, section 12.5.3).
            .accept_encoding("identity")
            // What was found in the environment is the caller's to say; the library would look for itself.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn complete(transport: &Transport) -> Option<bool> {
        let connector = transport.agent.lock().unwrap();
        connector.as_ref().map(|connector| connector.complete)
    }

    #[test]
    fn authorities_are_looked_for_when_needed_and_fully_when_one_is_unknown() {
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
}
