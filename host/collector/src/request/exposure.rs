//! Who can reach the server, and so what it needs before it listens.

use std::net::SocketAddr;

/// A reason why listening would not be safe.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    /// Anyone could report and read.
    #[error(
        "{0} can be reached from other machines, and there is no token: make one with `pipefold token add NAME`, or listen on 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// Anyone whom the proxy lets in could report and read.
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
    /// Whether it speaks TLS itself.
    pub tls: bool,
    /// Whether a proxy in front of it lets others in.
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

    /// Returns whether requests without a token may be answered as long as there is none to ask for.
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
