//! The proxy that the environment names.

use std::fmt;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use ureq::{Proxy, ProxyProtocol};

use super::error::ClientError;
use super::transport::ServerAddress;

/// The proxy settings of the environment. Its `Debug` shows only whether there is one, since the address may have a password in it.
#[derive(Clone, Default)]
pub struct ProxyOptions {
    https: Option<SecretString>,
    /// Name of the variable that gives it, for messages.
    source: &'static str,
    exempt: String,
}

impl ProxyOptions {
    /// Reads `HTTPS_PROXY` and `ALL_PROXY`, then `NO_PROXY`, each also in lower case. An empty variable counts as absent.
    ///
    /// The variables come from the caller, so that an embedding program decides whether to use the environment.
    #[must_use]
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let find = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| Some((*name, lookup(name).filter(|value| !value.trim().is_empty())?)))
        };
        let proxy = find(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let exempt = find(&["NO_PROXY", "no_proxy"])
            .map(|(_, list)| list)
            .unwrap_or_default();
        let source = proxy.as_ref().map(|(name, _)| *name).unwrap_or_default();
        Self {
            https: proxy.map(|(_, value)| SecretString::from(value)),
            source,
            exempt,
        }
    }

    /// The proxy to reach `origin` through. None for plain http and for this machine, which a proxy cannot reach.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] if there is one and its address cannot be used.
    pub(crate) fn for_origin(&self, origin: &ServerAddress) -> Result<Option<Proxy>, ClientError> {
        let Some(address) = &self.https else { return Ok(None) };
        if !origin.https || origin.is_loopback() || self.exempts(origin) {
            return Ok(None);
        }
        let unusable = |why| ClientError::Proxy {
            variable: self.source,
            why,
        };
        let address = address.expose_secret().trim();
        // The part of a password behind such a character would be read as a host or port, looked up and shown.
        if address.contains(['#', '?', '\\']) || has_path_or_two_ats(address) {
            return Err(unusable(
                "has `#`, `?`, `/` or `@` in its user or password: write %23, %3F, %2F or %40 for it",
            ));
        }
        let proxy = Proxy::new(address).map_err(|_| unusable("cannot be read"))?;
        match proxy.protocol() {
            ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(proxy)),
            _ => Err(unusable("is not an HTTP proxy")),
        }
    }

    /// Returns true if `NO_PROXY` has the host of `origin`: as `*`, as its name or a domain above it (with or without a leading dot), as
    /// its address or a network in CIDR notation; each but the last with an optional port. This is how curl and Go read it.
    fn exempts(&self, origin: &ServerAddress) -> bool {
        let host = origin.host.as_str();
        let address: Option<IpAddr> = host.parse().ok();
        let entries = self
            .exempt
            .split([',', ' '])
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        entries.map(str::to_ascii_lowercase).any(|entry| {
            let (name, port) = match entry.rsplit_once(':') {
                // A name with several colons is an IPv6 address, which has a port only after brackets.
                Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
                _ => (entry.as_str(), None),
            };
            if port.is_some_and(|port| port.parse() != Ok(origin.port)) {
                return false;
            }
            let name = name.trim_start_matches('[').trim_end_matches(']');
            if let Some(address) = address {
                return name == "*" || name.parse() == Ok(address) || in_network(address, name);
            }
            let domain = name.trim_start_matches('*').trim_start_matches('.');
            name == "*" || (!domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))))
        })
    }
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.https.as_ref().map(|_| self.source);
        f.debug_struct("ProxyOptions")
            .field("from", &source)
            .field("exempt", &self.exempt)
            .finish()
    }
}

/// Returns true if an address has more than `user:password@host:port/`: a second `@`, or an `@` behind a slash.
fn has_path_or_two_ats(address: &str) -> bool {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    authority.matches('@').count() > 1
        || authority
            .find('/')
            .is_some_and(|slash| authority[slash..].contains('@'))
}

/// A proxy's address without its user and password.
pub fn display(proxy: &Proxy) -> String {
    let scheme = if proxy.protocol() == ProxyProtocol::Https {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}:{}", proxy.host(), proxy.port())
}

/// Returns true if an address is in a network such as `10.0.0.0/8`.
fn in_network(address: IpAddr, network: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let (address, base, width) = match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => (u128::from(address.to_bits()), u128::from(base.to_bits()), 32),
        (IpAddr::V6(address), IpAddr::V6(base)) => (address.to_bits(), base.to_bits(), 128),
        _ => return false,
    };
    // A shift by the whole width has no result: then every address is in the network.
    length <= width && (address ^ base).checked_shr(width - length).unwrap_or_default() == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> ProxyOptions {
        ProxyOptions::from_env(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        options(variables)
            .for_origin(&ServerAddress::of(url).unwrap())
            .unwrap()
            .as_ref()
            .map(display)
    }

    #[test]
    fn variables_in_order() {
        let dx = "https://dx.example";
        assert_eq!(proxy(&[], dx), None);
        assert_eq!(proxy(&[("HTTP_PROXY", "http://a:1")], dx), None);
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            assert_eq!(
                proxy(&[(name, "http://a:1")], dx).as_deref(),
                Some("http://a:1"),
                "{name}"
            );
        }
        assert_eq!(
            proxy(&[("ALL_PROXY", "http://all"), ("HTTPS_PROXY", "a:1")], dx).as_deref(),
            Some("http://a:1")
        );
        assert_eq!(
            proxy(&[("ALL_PROXY", "https://all"), ("HTTPS_PROXY", " ")], dx).as_deref(),
            Some("https://all:443")
        );
    }

    #[test]
    fn never_for_http_or_this_machine() {
        let variables = [("HTTPS_PROXY", "http://a:1")];
        for url in [
            "http://localhost",
            "http://127.0.0.1:1",
            "https://localhost",
            "https://127.0.0.1",
            "https://[::1]",
        ] {
            assert_eq!(proxy(&variables, url), None, "{url}");
        }
    }

    #[test]
    fn exemptions() {
        let exempt = |list: &str, url: &str| proxy(&[("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", list)], url).is_none();
        let dx = "https://dx.corp.example:8443";
        for list in [
            "*",
            "dx.corp.example",
            "corp.example",
            ".corp.example",
            "*.corp.example",
            "x, DX.CORP.example:8443",
            "x corp.example",
        ] {
            assert!(exempt(list, dx), "{list}");
        }
        for list in [
            "",
            ",",
            ".",
            "orp.example",
            "x.dx.corp.example",
            "corp.example:443",
            "10.0.0.0/8",
            "corp",
        ] {
            assert!(!exempt(list, dx), "{list}");
        }
        let v4 = "https://10.1.2.3";
        for list in [
            "10.1.2.3",
            "10.0.0.0/8",
            "10.1.2.3/32",
            "0.0.0.0/0",
            "10.1.2.3:443",
            "*",
        ] {
            assert!(exempt(list, v4), "{list}");
        }
        for list in [
            "10.1.2.4",
            "11.0.0.0/8",
            "10.1.2.0/33",
            "::/0",
            "2.3",
            "10.1.2.3:444",
            "10.0.0.0/x",
        ] {
            assert!(!exempt(list, v4), "{list}");
        }
        let v6 = "https://[2001:db8::1]";
        for list in ["2001:db8::1", "[2001:db8::1]:443", "2001:db8::/32", "::/0"] {
            assert!(exempt(list, v6), "{list}");
        }
        for list in ["2001:db8::2", "[2001:db8::1]:444", "2001:db9::/32", "0.0.0.0/0"] {
            assert!(!exempt(list, v6), "{list}");
        }
    }

    #[test]
    fn credentials_are_used_and_never_shown() {
        let options = options(&[("HTTPS_PROXY", "http://user:sesame@a:1")]);
        assert!(!format!("{options:?}").contains("sesame"));
        let proxy = options
            .for_origin(&ServerAddress::of("https://dx.example").unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(
            (proxy.password(), display(&proxy).as_str()),
            (Some("sesame"), "http://a:1")
        );
    }

    #[test]
    fn unusable_addresses_are_named_by_their_variable() {
        for address in [
            "socks5://user:sesame@a:1",
            "ftp://sesame",
            "http://se same",
            "http://user:%ff@sesame",
            // curl would ask for the host `proxy` here; others for `user`, with `sesame` as its port.
            "http://user:sesame#2024@proxy:3128",
            "http://user:2024#sesame@proxy:3128",
            "http://user:12/sesame@proxy:3128",
            "http://user:12?sesame@proxy:3128",
            "http://user:ses@me#w@proxy:3128",
            "user:sesame@2024@proxy:3128",
            "http://user:12\\sesame@proxy:3128",
        ] {
            let why = options(&[("ALL_PROXY", address)])
                .for_origin(&ServerAddress::of("https://dx.example").unwrap())
                .unwrap_err();
            assert!(
                why.to_string().contains("ALL_PROXY") && !why.to_string().contains("sesame"),
                "{why}"
            );
        }
    }
}
