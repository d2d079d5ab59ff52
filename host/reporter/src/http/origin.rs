//! The one server that a client talks to.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

/// Scheme, host and port (RFC 6454): what decides whether TLS and a proxy are needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Whether it is reached through TLS.
    pub https: bool,
    /// Its name or address in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port, given or implied by the scheme.
    pub port: u16,
}

impl ServerAddress {
    /// The origin of an absolute `http` or `https` address. None if it is something else.
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

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || self.host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
    }
}

/// As an address, without a port that the scheme implies.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

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
}
