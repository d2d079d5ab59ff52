//! What of an answer is read: headers, the body, the wait that it asks for, and words fit for a message.

use chrono::{DateTime, NaiveDateTime, Utc};
use pipefold_sandbox::foreign::{self, EXCERPT, is_hidden};
use std::io::Read;
use std::time::Duration;
use ureq::Body;
use ureq::http::{HeaderName, Response};

/// A header's value, if it is text.
#[must_use]
pub fn header<'a>(response: &'a Response<Body>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body, or its first `limit` bytes and one more, which shows that it is longer. Read to its end if it is not, so that the connection
/// can be kept.
///
/// # Errors
///
/// What the HTTP library reports, among them a body that ends before it is complete.
pub fn read_body(response: &mut Response<Body>, limit: usize) -> Result<Vec<u8>, ureq::Error> {
    let mut body = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    response.body_mut().as_reader().take(limit).read_to_end(&mut body)?;
    Ok(body)
}

/// The longest wait that a server can ask for. One that asks for more is asked again all the same, or a wrong header could silence a
/// runner for good.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A `Retry-After` header: seconds or a date (RFC 9110, sections 10.2.3 and 5.6.7), within 0 and [`MAX_RETRY_AFTER`]; none if it is neither.
#[must_use]
pub fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds is still a number.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    Some((date.and_utc() - now).to_std().unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// `text` as an [excerpt](foreign::excerpt), with spaces for line ends and `(token)` in the place of each of `secrets`.
#[must_use]
pub fn quote<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let line: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    // A secret may be there in pieces, with hidden characters between them. Cutting comes last, or it could leave a half of one.
    let visible: String = line.chars().filter(|c| !is_hidden(*c)).collect();
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
    let safe = secrets.fold(visible.clone(), |text, secret| text.replace(secret, "(token)"));
    foreign::cut(if safe == visible { line.trim() } else { safe.trim() }, EXCERPT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_join_and_hidden_characters_show() {
        assert_eq!(
            quote(" a\r\nb\x1b[31mc\u{202e}d\0\u{2028}e ", []),
            r"a  b\u{1b}[31mc\u{202e}d\u{0} e"
        );
        assert_eq!(quote("\n::error::##[x", []), ": :error::# #[x");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(quote(&"é".repeat(EXCERPT), []).chars().count(), EXCERPT);
        let cut = quote(&"é".repeat(EXCERPT + 1), []);
        assert!(cut.chars().count() == EXCERPT && cut.ends_with("é…"));
    }

    #[test]
    fn the_token_goes_however_it_is_hidden() {
        let token = ["sesame-open"];
        assert_eq!(quote("key sesame-open!", token), "key (token)!");
        assert_eq!(quote("key ses\0ame-\u{200b}open!", token), "key (token)!");
        let at_the_cut = format!("{}sesame-open", "x".repeat(EXCERPT - 5));
        assert!(!quote(&at_the_cut, token).contains("ses"));
        assert_eq!(quote("ab", ["", "b"]), "a(token)", "an empty one is nowhere");
    }
}
