//! The address of DX.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ureq::http::Uri;

use super::jobs::JOB_METHOD_PATH;
use crate::http::ServerAddress;

/// The method's path below an instance's address (DX's page, "Facts").
pub const METHOD_PATH: &str = "/api/pipelineRuns.upsert";

/// The part of it that all of DX's methods have, which users may take for a part of the instance's address.
const API: &str = "/api";

/// The longest address accepted, as with most servers and proxies.
const MAX_LENGTH: usize = 2048;

/// The address of a DX instance, or of a server that speaks as DX does: `https`, or `http` to this machine only.
///
/// Displayed without a default port, a trailing slash or the method's path, so that equal addresses have equal text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DxUrl {
    https: bool,
    /// In lower case; an IPv6 address has its brackets.
    host: String,
    port: u16,
    /// Empty, or begins with a slash and does not end with one.
    prefix: String,
}

impl DxUrl {
    /// Reads an address such as `https://yourinstance.getdx.net`, with an optional path before DX's own. A slash at the end, `/api`, or the
    /// method's path as DX's page prints it, may be there.
    ///
    /// # Errors
    ///
    /// [`UrlError`] if it is not `https`, or `http` to this machine; or if it has a user name, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(UrlError::Malformed);
        }
        // Before the parser, which drops a fragment silently.
        if text.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let authority = uri.authority().ok_or(UrlError::NoScheme)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UrlError::NoScheme),
        };
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str().get(host.len()..) {
            Some("" | ":") => default_port(https),
            Some(rest) => match rest.trim_start_matches(':').parse() {
                Ok(0) | Err(_) => return Err(UrlError::Malformed),
                Ok(port) => port,
            },
            None => return Err(UrlError::Malformed),
        };
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if host.is_empty() || in_brackets.is_some_and(|address| address.parse::<Ipv6Addr>().is_err()) {
            return Err(UrlError::Malformed);
        }
        let path = uri.path().trim_end_matches('/');
        let prefix = path
            .strip_suffix(METHOD_PATH)
            .or_else(|| path.strip_suffix(API))
            .unwrap_or(path)
            .trim_end_matches('/')
            .to_owned();
        let url = Self {
            https,
            host,
            port,
            prefix,
        };
        if !https && !url.is_loopback() {
            return Err(UrlError::PlainHttp { host: url.host });
        }
        Ok(url)
    }

    /// The URL to which runs are posted.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{self}{METHOD_PATH}")
    }

    /// The URL to which jobs are posted.
    #[must_use]
    pub fn job_endpoint(&self) -> String {
        format!("{self}{JOB_METHOD_PATH}")
    }

    /// Returns true if it is reached through TLS. If not, it is on this machine.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host's name or address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, given or not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.origin().is_loopback()
    }

    /// The server, for the transport.
    pub(crate) fn origin(&self) -> ServerAddress {
        ServerAddress {
            https: self.https,
            host: self.host().to_owned(),
            port: self.port,
        }
    }
}

impl fmt::Display for DxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port(self.https) {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.prefix)
    }
}

impl FromStr for DxUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// The fault of an address of DX. Does not show the text: it may be a password or, by mistake, the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The address is empty.
    #[error("the DX URL is empty: give the address of your instance, such as https://yourinstance.getdx.net")]
    Empty,
    /// The address does not begin with https:// or http://.
    #[error("the DX URL must begin with https://, as in https://yourinstance.getdx.net")]
    NoScheme,
    /// The address is not a URL.
    #[error("the DX URL cannot be read: it should look like https://yourinstance.getdx.net")]
    Malformed,
    /// The address has a user name.
    #[error(
        "the DX URL has a user name or a password before `@`: leave them away; the token belongs in DX_API_TOKEN or a token file"
    )]
    UserInfo,
    /// The address has a query or a fragment.
    #[error("the DX URL has `?` or `#` in it: end it before them")]
    Query,
    /// The address is http to another machine: the token would be readable on the network.
    #[error(
        "the DX URL must be https://{host}: http:// would send the token in the clear, and is accepted for this machine only"
    )]
    PlainHttp {
        /// The host.
        host: String,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DxUrl, UrlError> {
        DxUrl::parse(text)
    }

    #[test]
    fn accepted_and_normalised() {
        let cases = [
            ("https://yourinstance.getdx.net", "https://yourinstance.getdx.net"),
            (" https://YourInstance.GetDX.net/\n", "https://yourinstance.getdx.net"),
            ("HTTPS://a.example:443", "https://a.example"),
            ("https://a.example:/", "https://a.example"),
            ("https://a.example:8443/dx//", "https://a.example:8443/dx"),
            ("https://a.example/api/pipelineRuns.upsert", "https://a.example"),
            ("https://a.example/dx/api/pipelineRuns.upsert/", "https://a.example/dx"),
            ("https://a.example/api", "https://a.example"),
            ("https://a.example/dx/api/", "https://a.example/dx"),
            ("https://a.example/dxapi", "https://a.example/dxapi"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.8.9.10", "http://127.8.9.10"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ];
        for (text, normal) in cases {
            let url = parse(text).unwrap();
            assert_eq!(url.to_string(), normal, "{text}");
            assert_eq!(url.endpoint(), format!("{normal}/api/pipelineRuns.upsert"));
            assert_eq!(parse(normal).unwrap(), url);
        }
        let url = parse("http://[::1]:8080").unwrap();
        assert_eq!((url.host(), url.port(), url.is_loopback()), ("::1", 8080, true));
        assert!(!parse("https://localhost.example").unwrap().is_loopback());
    }

    #[test]
    fn refused() {
        let plain = |host: &str| UrlError::PlainHttp { host: host.to_owned() };
        let cases = [
            ("", UrlError::Empty),
            ("yourinstance.getdx.net", UrlError::NoScheme),
            ("/path", UrlError::NoScheme),
            ("ftp://a.example", UrlError::NoScheme),
            ("https://", UrlError::Malformed),
            ("https://:443", UrlError::Malformed),
            ("https://a.example:0", UrlError::Malformed),
            ("https://a.example:65536", UrlError::Malformed),
            ("https://a.example:x", UrlError::Malformed),
            ("https://a b.example", UrlError::Malformed),
            ("https://[]", UrlError::Malformed),
            ("https://[dead:beef]", UrlError::Malformed),
            ("https://a.example/?x=1", UrlError::Query),
            ("https://a.example/#x", UrlError::Query),
            ("https://user:sesame@a.example", UrlError::UserInfo),
            ("https://sesame@a.example", UrlError::UserInfo),
            ("http://a.example", plain("a.example")),
            ("http://localhost.a.example", plain("localhost.a.example")),
            ("http://127.0.0.1.a.example", plain("127.0.0.1.a.example")),
            ("http://10.0.0.1", plain("10.0.0.1")),
            ("http://0.0.0.0", plain("0.0.0.0")),
            ("http://[::]", plain("[::]")),
            ("http://localhost@evil.example", UrlError::UserInfo),
        ];
        for (text, expected) in cases {
            let why = parse(text).unwrap_err();
            assert_eq!(why, expected, "{text}");
            assert!(!why.to_string().contains("sesame"), "{why}");
        }
        assert_eq!(
            parse(&format!("https://a.example/{}", "x".repeat(3000))),
            Err(UrlError::Malformed)
        );
    }
}
