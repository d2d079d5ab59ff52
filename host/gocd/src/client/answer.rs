//! The source of documents, and a server's answer: the document, another address, or an error.

use std::time::Duration;

use pipefold::http::ServerAddress;
use ureq::http::HeaderMap;

use super::credentials::Credentials;
use crate::address::{Href, Resource};
use crate::documents::PipelineLocator;

/// A source of a GoCD server's answers: the client, or a test.
pub trait Source {
    /// Returns the document's bytes, not empty. One request, apart from redirects within the server and retries; bounded in size and time.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no document. Requests with transient failures were retried before that.
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError>;

    /// Returns the JSON API's answer about a pipeline's run (GoCD API, "Get pipeline instance": `/go/api/pipelines/NAME/COUNTER`), for the
    /// revisions that the new dialect's documents do not have. Bounded in the same way.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer in JSON.
    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError>;
}

/// The reason why a GoCD server sent no document. No message has a password or a token; the server's texts are shortened to one line
/// without them.
///
/// [`BadCredentials`](Self::BadCredentials) concerns every request, the others only this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// 401 with `WWW-Authenticate`: the server rejects the credentials, or requires some.
    #[error("the GoCD server does not accept the user name and password or the token, or requires some: correct them")]
    BadCredentials,
    /// 403, or 401 without `WWW-Authenticate`, which servers up to 18.4 and from 20.1 on send instead.
    #[error("this user may not see it on the GoCD server: give the user the view permission on the pipeline's group")]
    NoPermission,
    /// 404.
    #[error("the GoCD server has no such document: it was renamed or deleted, or never existed")]
    NotFound,
    /// No answer, or one that may change: 408, 425, 429 and 5xx.
    #[error("{why}")]
    Unavailable {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// The pause that the server asked for, at most [`MAX_RETRY_AFTER`](pipefold::http::MAX_RETRY_AFTER).
        retry_after: Option<Duration>,
        /// The failure, in one line with the address.
        why: String,
    },
    /// A redirection to an address that is not one of the server's documents, such as a login page or another host. It was not followed.
    #[error("{0}")]
    Redirected(String),
    /// The answer is longer than allowed and was not read to its end.
    #[error("{0}")]
    TooLarge(String),
    /// The answer is not a document, such as a login page in HTML.
    #[error("{0}")]
    NotADocument(String),
    /// Another answer that does not change by itself, such as 400.
    #[error("{why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The failure, in one line with the address.
        why: String,
    },
}

impl FetchError {
    /// Returns true if the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The kind of answer that a request expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A document of the feeds.
    Xml,
    /// An answer of the JSON API.
    Json,
}

impl Expected {
    /// Returns the `Accept` header. The new feeds' routes require exactly this type, the old ones' accept any, and error texts come as XML
    /// only if it is requested.
    pub fn accept(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            // The newest version of the resource (GoCD API, "Versioning").
            Self::Json => "application/vnd.go.cd+json",
        }
    }

    /// Checks that a body may be of the expected kind. Its `Content-Type` is ignored: servers have several names for documents, and call a
    /// login page XML.
    ///
    /// # Errors
    ///
    /// [`FetchError::NotADocument`] if the body is not.
    pub fn check(self, url: &str, body: &[u8]) -> Result<(), FetchError> {
        let not = |what: &str| Err(FetchError::NotADocument(format!("{url} gave {what}")));
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        if text.is_empty() {
            return not("an empty answer");
        }
        match self {
            _ if is_html(text) => not(
                "a web page instead of a document, perhaps a login page: check the server's address and the credentials",
            ),
            Self::Json if !text.starts_with(b"{") => not("an answer that is not JSON"),
            _ => Ok(()),
        }
    }
}

/// Returns true if a text begins as a web page does, after the XML declaration and comments that older pages have.
fn is_html(mut text: &[u8]) -> bool {
    // A page has one declaration and a comment or two; the search is bounded.
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

/// Returns the error of a status other than 200 and a redirection. `wants_credentials` is true for a 401 with `WWW-Authenticate`: servers
/// up to 18.4 and from 20.1 on answer 401 without it for a pipeline that the user may not see.
pub fn error(status: u16, wants_credentials: bool, retry_after: Option<Duration>, url: &str) -> FetchError {
    match status {
        401 if wants_credentials => FetchError::BadCredentials,
        401 | 403 => FetchError::NoPermission,
        404 | 410 => FetchError::NotFound,
        408 | 425 | 429 | 500..=599 => FetchError::Unavailable {
            status: Some(status),
            retry_after,
            why: format!("{url} was answered with status {status}"),
        },
        201..=299 => FetchError::NotADocument(format!("{url} was answered with status {status}, without a document")),
        _ => FetchError::Refused {
            status,
            why: format!("{url} was refused with status {status}: check the server's address"),
        },
    }
}

/// Returns the deprecation notice of the API, in the server's own words and unchecked: GoCD 20.1 to 20.3 of the old dialect, and 25.4 and
/// later of the new feeds (GoCD API, "API changelog"). Only GoCD's own: a cache in between may send other warnings.
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

/// Returns the resource that a redirection of `asked` leads to. Only the path of the `Location` is used, and only one kind is followed: an
/// old server redirects a stage's run by name to the one by id, with any host as its own (`http://localhost:8153/go/api/stages/80.xml`).
pub fn target(asked: &Resource, location: Option<&str>) -> Option<Resource> {
    match (asked, Href::new(location?)?.resource()) {
        (Resource::StageByName(_), Some(stage @ Resource::StageById(_))) => Some(stage),
        _ => None,
    }
}

/// Returns the error of every other redirection of `url`: only documents of the feeds are requested.
pub fn refusal(asked: Option<&Resource>, url: &str, location: Option<&str>, credentials: &Credentials) -> FetchError {
    let href = location.and_then(Href::new);
    // The whole location is not shown: a path or a query may have secrets.
    let origin = href.as_ref().and_then(|href| ServerAddress::of(href.as_str()));
    let place = origin.map_or_else(
        || "another page".to_owned(),
        |origin| credentials.quote(&origin.to_string()),
    );
    let is_the_same = asked.is_some() && href.as_ref().and_then(Href::resource).as_ref() == asked;
    let advice = if is_the_same {
        "if that is the server, give it as the server's address"
    } else {
        "if that is for logging in, give credentials"
    };
    FetchError::Redirected(format!(
        "{url} is redirected to {place}, which was not followed: {advice}"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use ureq::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn web_pages_are_distinguished_from_documents() {
        let check = |body: &str| Expected::Xml.check("U", body.as_bytes());
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
            "not XML at all, which the reader reports better",
        ] {
            assert_eq!(check(body), Ok(()), "{body}");
        }
        let many = format!("{}<html>", "<!-- x -->".repeat(5));
        assert_eq!(check(&many), Ok(()));
    }

    #[test]
    fn json_begins_with_a_brace() {
        assert_eq!(Expected::Json.check("U", b" {\"name\":1}"), Ok(()));
        for body in ["<html>", "<x/>", "[]", ""] {
            assert!(Expected::Json.check("U", body.as_bytes()).is_err(), "{body}");
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

    fn notice(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_static(value));
        }
        deprecation_notice(&map)
    }

    #[test]
    fn deprecation_notices_keep_the_server_s_text() {
        let since = ("X-GoCD-API-Deprecated-In", "v25.4.0");
        let removal = ("X-GoCD-API-Removal-In", "v25.1.0");
        let warning = (
            "Warning",
            r#"299 GoCD/v25.4.0 "The Feeds API "v1" has been deprecated.""#,
        );
        let cache = ("Warning", r#"110 proxy "stale""#);
        let words = Some(r#"The Feeds API "v1" has been deprecated."#);
        assert_eq!(notice(&[since, removal, cache, warning]).as_deref(), words);
        let from_both = Some("deprecated in v25.4.0, to be removed in v25.1.0");
        assert_eq!(notice(&[since, removal]).as_deref(), from_both);
        assert_eq!(notice(&[since, cache]).as_deref(), Some("deprecated in v25.4.0"));
        assert_eq!(notice(&[warning]), None, "not certain to be GoCD's");
        assert_eq!(notice(&[]), None);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod redirect_tests {
    use super::*;
    use crate::client::Secret;

    const URL: &str = "http://ci.example/go/x.xml";

    fn lead(asked: &Resource, location: Option<&str>) -> Result<Resource, String> {
        let secret = Credentials::Bearer(Secret::new("sesame".to_owned()).unwrap());
        target(asked, location).ok_or_else(|| refusal(Some(asked), URL, location, &secret).to_string())
    }

    #[test]
    fn only_a_stage_by_id_is_followed_with_any_host() {
        let asked = Resource::parse("/go/pipelines/p/1/s/1.xml").unwrap();
        for location in [
            "http://localhost:8153/go/api/stages/80.xml",
            "/go/api/stages/80.xml",
            "https://elsewhere.example/ci/go/api/stages/80.xml",
        ] {
            assert_eq!(lead(&asked, Some(location)), Ok(Resource::StageById(80)), "{location}");
        }
        for location in [
            None,
            Some(""),
            Some("/go/auth/login"),
            Some("//evil.example/go/api/stages/80.xml"),
            Some("http://ci.example/go/api/jobs/80.xml"),
            Some("/go/api/stages/80"),
            Some("/go/api/stages/-1.xml"),
            Some("\0"),
        ] {
            let why = lead(&asked, location).unwrap_err();
            assert!(
                why.contains(URL) && why.contains("was not followed"),
                "{location:?}: {why}"
            );
        }
        let job = Resource::JobById(1);
        assert!(
            lead(&job, Some("/go/api/stages/80.xml")).is_err(),
            "servers do this for stages only"
        );
    }

    #[test]
    fn another_address_of_the_same_server_is_named_and_secrets_are_not() {
        let asked = Resource::parse("/go/api/pipelines.xml").unwrap();
        let why = lead(&asked, Some("https://user:pw@ci.example/go/api/pipelines.xml")).unwrap_err();
        assert!(
            why.contains("to https://ci.example,") && why.contains("as the server's address"),
            "{why}"
        );
        assert!(!why.contains("pw"), "{why}");
        let why = lead(&asked, Some("https://sso.example/login?back=sesame&x=sesame")).unwrap_err();
        assert!(
            why.contains("to https://sso.example,") && why.contains("logging in"),
            "{why}"
        );
        let why = lead(&asked, Some("https://sesame.example/")).unwrap_err();
        assert!(!why.contains("sesame"), "{why}");
    }
}
