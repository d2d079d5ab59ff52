//! Addresses: of our own pages, and of others'.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipefold_sandbox::foreign::is_hidden;
use std::fmt::Write;

/// All but what RFC 3986, section 2.3 calls unreserved: a value so written is a value in a path and in a query, whatever it says.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of a run.
pub(crate) fn run(reference_id: &str) -> String {
    named("/runs", "reference_id", reference_id)
}

/// The page of a pipeline.
pub fn pipeline(name: &str) -> String {
    named("/pipelines", "name", name)
}

/// A browser takes `.` and `..` as steps through a path, even when they are percent-encoded (URL standard, dot segments): such a name goes
/// into the query instead.
fn named(base: &str, parameter: &str, name: &str) -> String {
    let value = utf8_percent_encode(name, VALUE);
    if matches!(name, "." | "..") {
        format!("{base}?{parameter}={value}")
    } else {
        format!("{base}/{value}")
    }
}

/// `path` with a query of those parameters that have a value.
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut address = path.to_owned();
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(address, "{separator}{name}={}", utf8_percent_encode(value, VALUE));
            separator = '&';
        }
    }
    address
}

/// Returns whether a text from elsewhere may become a link: `http` and `https` only, and nothing that a browser would read otherwise than a
/// person. Everything else, `javascript:` above all, is shown as text.
pub fn is_web_address(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_alphanumeric() || first == '[')
            && !text.contains(|c: char| c.is_whitespace() || is_hidden(c) || c == '\\')
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(run("a/b?c#d%e f"), "/runs/a%2Fb%3Fc%23d%25e%20f");
        assert_eq!(pipeline("é\"<"), "/pipelines/%C3%A9%22%3C");
        assert_eq!(
            (run("."), pipeline("..")),
            ("/runs?reference_id=.".into(), "/pipelines?name=..".into())
        );
        assert_eq!(run("..."), "/runs/...");
        assert_eq!(
            with_query("/", &[("a", None), ("b", Some("x&y")), ("c", Some("1"))]),
            "/?b=x%26y&c=1"
        );
        assert_eq!(with_query("/", &[("a", None)]), "/");
    }

    #[test]
    fn only_web_addresses_become_links() {
        for text in [
            "https://ci.example/1",
            "HTTP://ci.example:8080/a?b=c#d",
            "http://[::1]/",
            "https://bücher.example/",
        ] {
            assert!(is_web_address(text), "{text}");
        }
        for text in [
            "javascript:alert(1)",
            "JaVaScRiPt://x/%0aalert(1)",
            " https://x",
            "https://",
            "https:///x",
            "https://x y",
            "https://x\n",
            "https://x\u{202e}",
            "https:\\\\x",
            "https://x\\@y",
            "data:text/html,x",
            "vbscript:x",
            "//x",
            "/x",
            "ftp://x",
            "é",
            "",
        ] {
            assert!(!is_web_address(text), "{text}");
        }
    }
}
