//! Errors of a client and of an exchange, each in one line.

use super::transport::quote;
use rustix::io::Errno;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

impl ClientError {
    /// Returns true if an error lasts until something is corrected.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Exchange(_))
    }
}

/// An error for which no answer came from a server. No message has a token, or a proxy's password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The file of further authorities cannot be used.
    #[error("could not use the CA file {}: {why}; give a readable file of certificates in PEM form with --ca-file", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        why: String,
    },
    /// The proxy's address cannot be used.
    #[error("the proxy address in {variable} {why}: it should look like http://proxy.example:3128")]
    Proxy {
        /// The variable that names it.
        variable: &'static str,
        /// The fault.
        why: &'static str,
    },
    /// The exchange failed, and would do so again a second later.
    #[error("{0}")]
    Lasting(String),
    /// The exchange failed.
    #[error("{0}")]
    Exchange(String),
}

/// The addresses and timeout of an exchange, for the message.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeContext<'a> {
    /// The address without anything secret.
    pub url: &'a str,
    /// The proxy's address without its user and password.
    pub proxy: Option<&'a str>,
    pub timeout: Duration,
}

impl ClientError {
    /// The message for an error of the HTTP library.
    pub(crate) fn from_exchange(why: &ureq::Error, attempt: ExchangeContext<'_>) -> Self {
        let ExchangeContext { url, proxy, timeout } = attempt;
        let through = proxy
            .map(|proxy| format!(" through the proxy {proxy}"))
            .unwrap_or_default();
        let text = match why {
            ureq::Error::Timeout(_) => format!("no complete answer from {url}{through} within {} s", seconds(timeout)),
            ureq::Error::HostNotFound => unknown_host(url, &through),
            ureq::Error::ConnectProxyFailed(reason) if asks_for_password(reason) => {
                format!(
                    "could not connect to {url}{through}: it asks for a user and a password, as in http://user:password@proxy:3128"
                )
            }
            ureq::Error::ConnectProxyFailed(reason) => format!("could not connect to {url}{through}: {reason}"),
            ureq::Error::Io(io) => match io.kind() {
                ErrorKind::ConnectionRefused => format!("could not connect to {url}{through}: connection refused"),
                ErrorKind::PermissionDenied => {
                    format!("could not connect to {url}{through}: this process may not use the network here")
                }
                _ if is_no_tls(&io.to_string()) => {
                    format!(
                        "could not talk to {url}{through}: what answers there does not speak TLS; is it http://, or another port?"
                    )
                }
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                    format!("could not connect to {url}{through}: no route to the host")
                }
                ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe => {
                    format!("the connection to {url}{through} was cut before the answer was complete")
                }
                _ if io.to_string().contains("failed to lookup address") => unknown_host(url, &through),
                // The TLS library's errors arrive like this.
                _ if is_certificate(&io.to_string()) => certificate(url, &io.to_string()),
                _ => format!(
                    "could not exchange data with {url}{through}: {}",
                    without_number(&io.to_string())
                ),
            },
            other if is_certificate(&other.to_string()) => certificate(url, &other.to_string()),
            other => format!("could not exchange data with {url}{through}: {other}"),
        };
        let text = quote(&text, []);
        if is_lasting(why) {
            Self::Lasting(text)
        } else {
            Self::Exchange(text)
        }
    }
}

/// Returns true if a second attempt would fail the same way: a certificate is not valid, the server does not speak TLS, a proxy asks for a
/// password, this process may not use the network, or the address is not one.
fn is_lasting(why: &ureq::Error) -> bool {
    match why {
        ureq::Error::Io(io) => {
            let text = io.to_string();
            // An address of a family that this machine does not have, or one that no connection can have.
            let lasting = [Errno::AFNOSUPPORT, Errno::INVAL, Errno::PROTONOSUPPORT].map(Errno::raw_os_error);
            io.kind() == ErrorKind::PermissionDenied
                || io.raw_os_error().is_some_and(|number| lasting.contains(&number))
                || is_certificate(&text)
                || is_no_tls(&text)
        }
        ureq::Error::ConnectProxyFailed(reason) => asks_for_password(reason),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl | ureq::Error::Tls(_) => true,
        other => is_certificate(&other.to_string()),
    }
}

/// Returns true if a server's certificate has an unknown issuer. Then a fuller search for authorities may help.
pub fn is_unknown_issuer(why: &ureq::Error) -> bool {
    why.to_string().contains("UnknownIssuer")
}

fn is_certificate(text: &str) -> bool {
    text.contains("invalid peer certificate")
}

fn is_no_tls(text: &str) -> bool {
    text.contains("InvalidContentType")
}

fn asks_for_password(proxy_said: &str) -> bool {
    proxy_said.contains("407")
}

fn certificate(url: &str, text: &str) -> String {
    if text.contains("UnknownIssuer") {
        return format!(
            "the certificate of {url} was issued by an authority that this system does not know: \
             if it is your company's, give its certificate with --ca-file"
        );
    }
    if text.contains("CaUsedAsEndEntity") {
        return format!(
            "the certificate of {url} is one of an authority, which no server may use for itself: make one with \
             `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`"
        );
    }
    let detail = text
        .rsplit_once("invalid peer certificate: ")
        .map_or(text, |(_, detail)| detail);
    format!("the certificate of {url} is not valid: {detail}")
}

fn unknown_host(url: &str, through: &str) -> String {
    format!("could not connect to {url}{through}: the host name is not known")
}

/// The system's message without the error number.
fn without_number(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(words, _)| words)
}

/// Seconds to a tenth, and whole ones without a fraction.
fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::io;

    use super::*;

    fn text(why: ureq::Error, proxy: Option<&str>) -> String {
        let attempt = ExchangeContext {
            url: "https://dx.example",
            proxy,
            timeout: Duration::from_millis(1500),
        };
        ClientError::from_exchange(&why, attempt).to_string()
    }

    #[test]
    fn each_error_is_one_line() {
        let io = |kind: ErrorKind| ureq::Error::Io(io::Error::from(kind));
        let other = |text: &str| ureq::Error::Io(io::Error::other(text.to_owned()));
        let cases = [
            (
                io(ErrorKind::ConnectionRefused),
                "could not connect to https://dx.example: connection refused",
            ),
            (
                io(ErrorKind::ConnectionReset),
                "the connection to https://dx.example was cut before the answer was complete",
            ),
            (
                ureq::Error::HostNotFound,
                "could not connect to https://dx.example: the host name is not known",
            ),
            (
                other("failed to lookup address information: Name or service not known"),
                "could not connect to https://dx.example: the host name is not known",
            ),
            (
                ureq::Error::Timeout(ureq::Timeout::Global),
                "no complete answer from https://dx.example within 1.5 s",
            ),
            (
                io::Error::from_raw_os_error(1).into(),
                "could not connect to https://dx.example: this process may not use the network here",
            ),
            (
                other("invalid peer certificate: certificate expired: long\nago"),
                "the certificate of https://dx.example is not valid: certificate expired: long ago",
            ),
        ];
        for (why, expected) in cases {
            assert_eq!(text(why, None), expected);
        }
    }

    #[test]
    fn lasting_errors_are_distinguished() {
        let lasts = |why: ureq::Error| {
            let attempt = ExchangeContext {
                url: "https://dx.example",
                proxy: None,
                timeout: Duration::from_secs(1),
            };
            matches!(ClientError::from_exchange(&why, attempt), ClientError::Lasting(_))
        };
        for errno in [1, 13, 22, 97] {
            assert!(lasts(io::Error::from_raw_os_error(errno).into()), "{errno}");
        }
        let tls = |text: &str| ureq::Error::Io(io::Error::other(format!("invalid peer certificate: {text}")));
        assert!(lasts(tls("UnknownIssuer")) && lasts(tls("NotValidForName")));
        assert!(lasts(ureq::Error::BadUri("https://[".into())) && lasts(ureq::Error::Tls("no roots")));
        assert!(lasts(ureq::Error::ConnectProxyFailed(
            "proxy server responded 407/407".into()
        )));
        assert!(!lasts(ureq::Error::ConnectProxyFailed(
            "proxy server responded 502".into()
        )));
        for errno in [110, 111, 113, 101, 104] {
            assert!(!lasts(io::Error::from_raw_os_error(errno).into()), "{errno}");
        }
        assert!(!lasts(io::Error::from(ErrorKind::ConnectionRefused).into()));
        assert!(!lasts(ureq::Error::HostNotFound) && !lasts(ureq::Error::Timeout(ureq::Timeout::Global)));
        let words = text(tls("Other(OtherError(CaUsedAsEndEntity))"), None);
        assert!(words.contains("CA:FALSE") && !words.contains("OtherError"), "{words}");
    }

    #[test]
    fn a_proxy_is_named_where_it_matters() {
        let proxy = Some("http://proxy.example:3128");
        let refused = text(io::Error::from(ErrorKind::ConnectionRefused).into(), proxy);
        assert_eq!(
            refused,
            "could not connect to https://dx.example through the proxy http://proxy.example:3128: connection refused"
        );
        let asks = text(
            ureq::Error::ConnectProxyFailed("proxy server responded 407/407".into()),
            proxy,
        );
        assert!(asks.contains("asks for a user"), "{asks}");
    }

    #[test]
    fn seconds_are_readable() {
        let cases = [(0, "0"), (40, "0.1"), (1000, "1"), (1500, "1.5"), (60_000, "60")];
        for (millis, expected) in cases {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
    }
}
