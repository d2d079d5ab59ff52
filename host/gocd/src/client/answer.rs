//! A server's answer: its status, its form, and its notice of deprecation.

use std::time::Duration;

use ureq::http::HeaderMap;

use super::source::FetchError;

/// What was asked for, and so what may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A document of the feeds.
    Xml,
    /// An answer of the JSON API.
    Json,
}

impl Kind {
    /// The `Accept` header. The new feeds' routes want exactly this type, the old ones' take any, and error texts come as XML only if it is asked for.
    pub fn accept(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            // The newest version of whatever it is (GoCD API, "Versioning").
            Self::Json => "application/vnd.go.cd+json",
        }
    }

    /// Whether a body may be what was asked for. Its `Content-Type` is not looked at: servers call documents by several names, and a login
    /// page XML.
    ///
    /// # Errors
    ///
    /// [`FetchError::NotADocument`] if it is not.
    pub fn check(self, url: &str, body: &[u8]) -> Result<(), FetchError> {
        let not = |what: &str| Err(FetchError::NotADocument(format!("{url} gave {what}")));
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        if text.is_empty() {
            return not("an empty answer");
        }
        match self {
            _ if is_html(text) => not(
                "a web page, perhaps for logging in, and no document: check the server's address and the credentials",
            ),
            Self::Json if !text.starts_with(b"{") => not("something that is no JSON"),
            _ => Ok(()),
        }
    }
}

/// Whether a text begins as a web page does, after the XML declaration and comments that older ones have.
fn is_html(mut text: &[u8]) -> bool {
    // A page has one declaration and a comment or two; what has more is not to be searched for ever.
    for _ in 0..4 {
        let end: &[u8] = match text {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            _ => break,
        };
        let Some(at) = text.windows(end.len()).position(|window| window == end) else {
            return false;
        };
        text = text.get(at + end.len()..).unwrap_or_default().trim_ascii_start();
    }
    let begins = |start: &[u8]| {
        text.get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    begins(b"<!doctype html") || begins(b"<html")
}

/// The error that a status other than 200 and a redirection is. `wants_credentials` is whether a 401 came with `WWW-Authenticate`: servers
/// up to 18.4 and from 20.1 on answer 401 without it for a pipeline that the user may not see.
pub(super) fn error(status: u16, wants_credentials: bool, retry_after: Option<Duration>, url: &str) -> FetchError {
    match status {
        401 if wants_credentials => FetchError::BadCredentials,
        401 | 403 => FetchError::NoPermission,
        404 | 410 => FetchError::NotFound,
        408 | 425 | 429 | 500..=599 => FetchError::Unavailable {
            status: Some(status),
            retry_after,
            why: format!("{url} was answered with status {status}"),
        },
        201..=299 => FetchError::NotADocument(format!("{url} was answered with status {status} and so no document")),
        _ => FetchError::Refused {
            status,
            why: format!("{url} was refused with status {status}: check the server's address"),
        },
    }
}

/// What a server says of the age of what was asked for, in its own words and unchecked: GoCD 20.1 to 20.3 of the old dialect, and 25.4 and later
/// of the new feeds (GoCD API, "API changelog"). Only GoCD's: a cache in between may warn of other things.
pub fn deprecation_notice(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let since = text("X-GoCD-API-Deprecated-In")?;
    let warnings = headers.get_all("Warning");
    let warning = warnings.iter().find_map(|value| {
        // `299 GoCD/v25.4.0 "text"` (RFC 7234, section 5.5).
        let (_, quoted) = value.to_str().ok()?.strip_prefix("299 ")?.split_once('"')?;
        Some(quoted.rsplit_once('"').map_or(quoted, |(inner, _)| inner))
    });
    Some(match (warning, text("X-GoCD-API-Removal-In")) {
        (Some(warning), _) => warning.to_owned(),
        (None, Some(removal)) => format!("deprecated in {since}, to be removed in {removal}"),
        (None, None) => format!("deprecated in {since}"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use ureq::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn web_pages_are_told_from_documents() {
        let check = |body: &str| Kind::Xml.check("U", body.as_bytes());
        for body in [
            "<!DOCTYPE html><html>",
            "\n\n <html lang=en>",
            "\u{feff}<HTML>",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"x\">",
            "<!-- GoCD --><!-- x -->\n<!doctype HTML>",
            "",
            " \n",
            "\u{feff}",
        ] {
            let why = check(body).unwrap_err();
            assert!(
                matches!(&why, FetchError::NotADocument(text) if text.starts_with("U gave ")),
                "{body}"
            );
        }
        for body in [
            "\n\n<?xml version=\"1.0\"?><feed/>",
            "<pipelines/>",
            "<htm",
            "<!-- never closed <html>",
            "<?never <html>",
            "not XML at all, which the reader says better",
        ] {
            assert_eq!(check(body), Ok(()), "{body}");
        }
        let many = format!("{}<html>", "<!-- x -->".repeat(5));
        assert_eq!(check(&many), Ok(()));
    }

    #[test]
    fn json_begins_with_a_brace() {
        assert_eq!(Kind::Json.check("U", b" {\"name\":1}"), Ok(()));
        for body in ["<html>", "<x/>", "[]", ""] {
            assert!(Kind::Json.check("U", body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn statuses() {
        let plain = |status| error(status, false, None, "U");
        assert_eq!(error(401, true, None, "U"), FetchError::BadCredentials);
        assert_eq!(
            (plain(401), plain(403)),
            (FetchError::NoPermission, FetchError::NoPermission)
        );
        assert_eq!((plain(404), plain(410)), (FetchError::NotFound, FetchError::NotFound));
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(plain(status).is_transient(), "{status}");
        }
        for status in [201, 204, 206] {
            assert!(matches!(plain(status), FetchError::NotADocument(_)), "{status}");
        }
        for status in [100, 300, 304, 400, 405, 406, 407, 418, 451, 600] {
            let refused = plain(status);
            assert!(
                matches!(&refused, FetchError::Refused { status: same, why } if *same == status && why.contains('U')),
                "{refused:?}"
            );
        }
    }

    fn said(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_static(value));
        }
        deprecation_notice(&map)
    }

    #[test]
    fn in_the_words_of_the_server() {
        let since = ("X-GoCD-API-Deprecated-In", "v25.4.0");
        let removal = ("X-GoCD-API-Removal-In", "v25.1.0");
        let warning = (
            "Warning",
            r#"299 GoCD/v25.4.0 "The Feeds API "v1" has been deprecated.""#,
        );
        let cache = ("Warning", r#"110 proxy "stale""#);
        let words = Some(r#"The Feeds API "v1" has been deprecated."#);
        assert_eq!(said(&[since, removal, cache, warning]).as_deref(), words);
        let from_both = Some("deprecated in v25.4.0, to be removed in v25.1.0");
        assert_eq!(said(&[since, removal]).as_deref(), from_both);
        assert_eq!(said(&[since, cache]).as_deref(), Some("deprecated in v25.4.0"));
        assert_eq!(said(&[warning]), None, "not known to be GoCD's");
        assert_eq!(said(&[]), None);
    }
}
