//! The exposure of the server, its requirements before it listens, and the tokens that requests show.

use crate::access::{FailureKey, MAX_TOKENS, Rate, RateLimit, TokenName, Tokens, TokensError};
use axum::http::{Extensions, HeaderMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The rate of failed authentications of one address: trial and error with a configuration passes, a scanner is slowed down.
const FAILURES: Rate = Rate {
    burst: 20,
    per_second: 1.0,
};

/// The most addresses whose failures are remembered, 100 bytes each.
const FAILING_ADDRESSES: usize = 10_000;

/// The address of a connection's peer; an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The tokens of a server, and the limits on requests with and without a known one.
pub struct Gate {
    /// The tokens.
    pub tokens: Tokens,
    /// The ways in which the server can be reached.
    pub exposure: Exposure,
    per_token: RateLimit<TokenName>,
    failures: RateLimit<FailureKey>,
    had_tokens: AtomicBool,
}

impl Gate {
    /// A gate that lets each token make `per_second` requests a second in the long run. A pause earns as many at once as ten seconds would.
    #[must_use]
    pub fn new(tokens: Tokens, exposure: Exposure, per_second: u32) -> Self {
        let per_token = Rate {
            burst: per_second.saturating_mul(10),
            per_second: f64::from(per_second),
        };
        Self {
            tokens,
            exposure,
            per_token: RateLimit::new(per_token, MAX_TOKENS),
            failures: RateLimit::new(FAILURES, FAILING_ADDRESSES),
            had_tokens: AtomicBool::new(false),
        }
    }

    /// Returns true if requests need no token: there is none, no other machine can reach the server, and there was none before. Revoking
    /// the last one while the server runs does not open it again.
    ///
    /// # Errors
    /// The tokens cannot be read.
    pub fn is_open(&self) -> Result<bool, TokensError> {
        if !self.tokens.is_empty()? {
            self.had_tokens.store(true, Relaxed);
        }
        Ok(self.exposure.may_be_open() && !self.had_tokens.load(Relaxed))
    }

    /// Counts a request with a known token.
    pub(super) fn count(&self, token: &TokenName, now: Instant) -> Result<(), Duration> {
        self.per_token.take(token, now)
    }

    /// Counts a failed authentication of an address.
    pub(crate) fn count_failure(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.failures.take(&address.into(), now)
    }

    /// The client's address: the connection's, or the one from the proxy in front. Only the last entry of `X-Forwarded-For`, which is the
    /// proxy's own, is trusted.
    pub(crate) fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = extensions.get::<Peer>()?.0.ip();
        if !self.exposure.behind_proxy {
            return Some(peer);
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.or(Some(peer))
    }
}

/// A reason why listening would not be safe.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    /// Anyone could report and read.
    #[error(
        "{0} can be reached from other machines, and there is no token: make one with `pipefold token add NAME`, or listen on 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// Anyone behind the proxy could report and read.
    #[error(
        "behind a proxy every request seems to come from this machine, and there is no token: make one with `pipefold token add NAME`"
    )]
    NoTokenBehindProxy,
    /// Tokens would cross the network unencrypted.
    #[error(
        "{0} can be reached from other machines, and tokens would go there unencrypted: give --tls-cert and --tls-key, or --behind-proxy where a proxy on the way does the encryption"
    )]
    Plain(SocketAddr),
}

/// The ways in which the server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Address that it listens on.
    pub address: SocketAddr,
    /// True if it speaks TLS itself.
    pub tls: bool,
    /// True if a proxy in front of it lets others in.
    pub behind_proxy: bool,
}

impl Exposure {
    /// Checks that a stranger can neither report, nor read, nor listen in.
    ///
    /// # Errors
    /// [`Exposed::NoToken`], [`Exposed::NoTokenBehindProxy`], [`Exposed::Plain`].
    pub fn check(self, has_tokens: bool) -> Result<(), Exposed> {
        let near = self.address.ip().to_canonical().is_loopback();
        match (near, has_tokens) {
            (true, false) if self.behind_proxy => Err(Exposed::NoTokenBehindProxy),
            (false, false) => Err(Exposed::NoToken(self.address)),
            (false, true) if !self.tls && !self.behind_proxy => Err(Exposed::Plain(self.address)),
            _ => Ok(()),
        }
    }

    /// Returns true if requests without a token may be answered as long as there is no token.
    #[must_use]
    pub fn may_be_open(self) -> bool {
        self.address.ip().to_canonical().is_loopback() && !self.behind_proxy
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        let check = |address: &str, tls, behind_proxy, has_tokens| {
            let exposure = Exposure {
                address: address.parse().unwrap(),
                tls,
                behind_proxy,
            };
            exposure.check(has_tokens).map_err(|error| error.to_string())
        };
        for near in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(check(near, false, false, false).is_ok() && check(near, false, true, true).is_ok());
            assert!(check(near, false, true, false).unwrap_err().contains("proxy"));
        }
        for far in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            for (tls, proxy) in [(false, false), (true, false), (false, true), (true, true)] {
                assert!(
                    check(far, tls, proxy, false).unwrap_err().contains("token add"),
                    "{far}"
                );
            }
            assert!(check(far, false, false, true).unwrap_err().contains("--tls-cert"));
            assert!(check(far, true, false, true).is_ok() && check(far, false, true, true).is_ok());
            let open = |behind_proxy| {
                Exposure {
                    address: far.parse().unwrap(),
                    tls: true,
                    behind_proxy,
                }
                .may_be_open()
            };
            assert!(!open(false) && !open(true));
        }
    }
}
