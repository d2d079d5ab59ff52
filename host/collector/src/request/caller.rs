//! The sender of a request, and the check of its token.

use super::answer::{refused, retry_later};
use super::app::Journal;
use super::gate::Gate;
use super::intake::Sender;
use crate::access::{Access, Refusal, Secret, TokenName};
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pipefold::dx::ErrorCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The sender of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token; `None` where the server asks for none.
    pub token: Option<TokenName>,
    /// The token's access.
    pub access: Arc<Access>,
}

/// Ways to show a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `Authorization: Bearer TOKEN`, as on DX's page.
    Bearer,
    /// The same, or Basic authentication with the token's name and the token, as browsers and GoCD's clients use it.
    BearerOrBasic,
}

/// The reason why a request is refused.
#[derive(Debug)]
pub enum Denied {
    /// No token was shown, or not in a known way.
    NoToken,
    /// The token is not known.
    BadToken,
    /// Too many requests; retry after this time.
    TooOften(Duration),
    /// The tokens cannot be read.
    Broken,
    /// A browser sent it for a page of another site.
    Foreign(&'static str),
}

impl Caller {
    /// Finds the sender of a request.
    ///
    /// A known token is accepted however many unknown ones came from its address: behind one address there may be a whole company, and 192
    /// random bits are not found by trying. Only the answers to failures are limited.
    ///
    /// # Errors
    /// [`Denied`], counted.
    pub fn of(
        (gate, journal): (&Gate, &Journal),
        headers: &HeaderMap,
        extensions: &Extensions,
        schemes: Schemes,
    ) -> Result<Self, Denied> {
        let caller = Self::find(gate, journal, headers, schemes);
        let now = Instant::now();
        let denied = match caller {
            Ok(caller) => match caller.token.as_ref().map(|token| gate.count(token, now)) {
                Some(Err(wait)) => Denied::TooOften(wait),
                _ => return Ok(caller),
            },
            Err(Denied::BadToken) => {
                let address = gate.address(headers, extensions);
                match address.map(|address| gate.count_failure(address, now)) {
                    Some(Err(wait)) => Denied::TooOften(wait),
                    _ => Denied::BadToken,
                }
            }
            Err(denied) => denied,
        };
        let metrics = &journal.metrics;
        let counter = match denied {
            Denied::TooOften(_) => &metrics.limited,
            Denied::Broken => &metrics.failed,
            _ => &metrics.unauthorised,
        };
        counter.fetch_add(1, Relaxed);
        if let Some(address) = gate.address(headers, extensions) {
            tracing::info!("refused a request from {address}: {}", denied.code());
        }
        Err(denied)
    }

    fn find(gate: &Gate, journal: &Journal, headers: &HeaderMap, schemes: Schemes) -> Result<Self, Denied> {
        let broken = |error: &dyn std::fmt::Display| {
            journal.complain("tokens", error);
            Denied::Broken
        };
        if gate.is_open().map_err(|error| broken(&error))? {
            from_this_machine(headers)?;
            return Ok(Self {
                token: None,
                access: Arc::new(Access::everything()),
            });
        }
        let identity = match shown(headers, schemes).ok_or(Denied::NoToken)? {
            (None, secret) => gate.tokens.identify(&secret),
            (Some(name), secret) => gate.tokens.identify_named(&name, &secret),
        };
        match identity {
            Ok(identity) => Ok(Self {
                token: Some(identity.name),
                access: identity.access,
            }),
            Err(Refusal::Unknown) => Err(Denied::BadToken),
            Err(Refusal::TooOften(wait)) => Err(Denied::TooOften(wait)),
            Err(Refusal::Tokens(error)) => Err(broken(&error)),
        }
    }

    /// Returns it as the sender of a report.
    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender {
            name: self.token.as_ref().map_or("", TokenName::as_str),
            access: &self.access,
        }
    }
}

/// Returns the token that the headers show, and the user name with Basic authentication. Two such headers count as none.
fn shown(headers: &HeaderMap, schemes: Schemes) -> Option<(Option<String>, Secret)> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else {
        return None;
    };
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if rest.is_empty() {
        return None;
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, Secret::shown(rest.to_owned())));
    }
    if scheme.eq_ignore_ascii_case("basic") && schemes == Schemes::BearerOrBasic {
        let text = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        return Some((Some(name.to_owned()), Secret::shown(password.to_owned())));
    }
    None
}

/// Base64 (RFC 4648, section 4), with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Headers that proxies add. Behind a proxy every sender would seem to be on this machine.
const OF_PROXIES: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Checks the headers of a request where no token is needed. Any page that is open in a browser on this machine could send requests here,
/// and read the answers under a name of its own that leads to 127.0.0.1. The headers show it.
pub(crate) fn from_this_machine(headers: &HeaderMap) -> Result<(), Denied> {
    if OF_PROXIES.iter().any(|name| headers.contains_key(*name)) {
        return Err(Denied::Foreign(
            "a proxy passed this on, and there is no token: make one, and start the server with --behind-proxy",
        ));
    }
    let near = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) {
                host
            } else {
                authority
            }
        });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(HOST).is_some_and(|host| !near(host)) {
        return Err(Denied::Foreign(
            "without a token this server answers only under 127.0.0.1, [::1] or localhost",
        ));
    }
    if let Some(origin) = text(ORIGIN) {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        // A page of another server on this machine is another origin too: the port must be ours.
        if authority.is_none_or(|authority| !near(authority) || text(HOST) != Some(authority)) {
            return Err(Denied::Foreign(
                "without a token this server takes no requests from other servers' pages",
            ));
        }
    }
    if text(HeaderName::from_static("sec-fetch-site")).is_some_and(|site| site == "cross-site")
        && text(HeaderName::from_static("sec-fetch-mode")).is_none_or(|mode| mode != "navigate")
    {
        return Err(Denied::Foreign(
            "without a token this server takes no requests from other servers' pages",
        ));
    }
    Ok(())
}

impl Denied {
    /// Returns the code of the answer.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoToken => ErrorCode::NotAuthed,
            Self::BadToken => ErrorCode::InvalidAuth,
            Self::TooOften(_) => ErrorCode::RateLimited,
            Self::Broken => ErrorCode::Unavailable,
            Self::Foreign(_) => ErrorCode::Forbidden,
        }
    }

    /// Returns the answer. It asks a browser for a name and a password.
    #[must_use]
    pub fn answer(self, schemes: Schemes) -> Response {
        let code = self.code();
        let mut answer = match self {
            Self::NoToken => refused(code, "send a token in the header `Authorization: Bearer TOKEN`"),
            Self::BadToken => refused(code, "this token is not known here: it may have been revoked"),
            Self::TooOften(wait) => {
                return retry_later(code, "too many requests", wait);
            }
            Self::Broken => {
                return retry_later(
                    code,
                    "the server cannot check tokens now; see its log",
                    Duration::from_secs(10),
                );
            }
            Self::Foreign(why) => return refused(code, why),
        };
        let challenge = match schemes {
            Schemes::Bearer => "Bearer realm=\"pipefold\"",
            Schemes::BearerOrBasic => "Basic realm=\"pipefold\", charset=\"UTF-8\"",
        };
        answer
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn tokens_are_taken_from_the_header_alone() {
        let found = |value: &str, schemes| {
            let found = shown(&headers(&[("authorization", value)]), schemes);
            found.map(|(name, secret)| (name, secret.reveal().to_owned()))
        };
        assert_eq!(found("bEaReR  x ", Schemes::Bearer), Some((None, "x".into())));
        assert_eq!(found("Basic bmFtZTpwOnc=", Schemes::Bearer), None);
        for with_or_without in ["Basic bmFtZTpwOnc=", "Basic bmFtZTpwOnc"] {
            assert_eq!(
                found(with_or_without, Schemes::BearerOrBasic),
                Some((Some("name".into()), "p:w".into()))
            );
        }
        for bad in [
            "",
            "x",
            "Bearer",
            "Bearer ",
            "Token x",
            "Basic",
            "Basic !",
            "Basic bmFtZQ==",
        ] {
            assert_eq!(found(bad, Schemes::BearerOrBasic), None, "{bad}");
        }
        let mut two = headers(&[("authorization", "Bearer x")]);
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
        assert!(shown(&two, Schemes::Bearer).is_none());
    }

    #[test]
    fn pages_of_others_cannot_use_a_server_without_tokens() {
        let ok = |pairs: &[(&'static str, &str)]| from_this_machine(&headers(pairs)).is_ok();
        for host in ["127.0.0.1:8642", "localhost", "LOCALHOST:1", "[::1]:8642", "127.8.9.1"] {
            assert!(ok(&[("host", host)]), "{host}");
        }
        assert!(ok(&[]), "HTTP/1.0");
        for name in OF_PROXIES {
            assert!(!ok(&[("host", "127.0.0.1:8642"), (name, "192.0.2.1")]), "{name}");
        }
        for host in [
            "evil.example:8642",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "192.0.2.1",
            "0.0.0.0",
            "",
            "x@127.0.0.1",
        ] {
            assert!(!ok(&[("host", host)]), "{host}");
        }
        let host = ("host", "127.0.0.1:8642");
        assert!(ok(&[host, ("origin", "http://127.0.0.1:8642")]));
        for origin in [
            "null",
            "http://127.0.0.1:9",
            "https://evil.example",
            "http://localhost:8642",
        ] {
            assert!(!ok(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!ok(&[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors")
        ]));
        assert!(
            ok(&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
            "a link"
        );
    }
}
