//! Addresses of pages and servers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Unfit;

/// An address taken apart, without its credentials.
pub struct Parts<'a> {
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// From the first `/`, `?` or `#` to the end.
    pub rest: &'a str,
}

/// Takes `scheme://user:password@host:port/rest` apart, and drops user and password.
pub fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => port,
        _ => "",
    };
    // A password with a `/` in it ends what looks like the authority too early: then this is no port, and the rest would give it away.
    let is_whole = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_sound = is_scheme && is_whole && !scheme.is_empty() && !authority.is_empty();
    (is_sound && !url.contains(char::is_whitespace)).then_some(Parts {
        scheme,
        authority,
        rest,
    })
}

/// The address of a page, without credentials; otherwise untouched.
pub fn page(url: &str) -> Result<String, Unfit> {
    match parts(url) {
        Some(Parts {
            scheme,
            authority,
            rest,
        }) if ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) => {
            Ok(format!("{scheme}://{authority}{rest}"))
        }
        _ => Err(Unfit::Wrong("is no address of a web page")),
    }
}

/// The address of a server, to put a path behind: without credentials and without a `/` at its end.
pub fn server(url: &str) -> Option<String> {
    page(url).ok().map(|url| url.trim_end_matches('/').to_owned())
}

/// A name that runs are counted in, as it is: only an address, which may hold credentials, becomes the name of its repository.
pub fn name(text: &str) -> Result<String, Unfit> {
    if text.contains("://") {
        super::repository(text)
    } else {
        Ok(text.to_owned())
    }
}

/// What tells one server from another: `host:port/path` of an address, or a plain name as it is.
pub fn host(text: &str) -> Result<String, Unfit> {
    let host = match parts(text) {
        Some(parts) => {
            let path = parts.rest.split(['?', '#']).next().unwrap_or_default();
            format!("{}{path}", parts.authority.to_ascii_lowercase())
        }
        None if text.contains("://") => return Err(Unfit::Absent),
        None => text.to_owned(),
    };
    let host = host.trim_matches('/');
    if host.is_empty() {
        Err(Unfit::Absent)
    } else {
        Ok(host.to_owned())
    }
}

/// All but the unreserved characters (RFC 3986, section 2.3), and `/`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A name as a part of a path: whatever has a meaning in an address is escaped (RFC 3986, section 2.1).
pub fn path_segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn credentials_go_and_the_rest_is_untouched() {
        for (given, url) in [
            ("https://ci.example.com//", "https://ci.example.com//"),
            ("https://user:pa@ss@host:1234/a@b?q=1#f", "https://host:1234/a@b?q=1#f"),
            ("HTTP://token@host", "HTTP://host"),
            ("https://[::1]:80/x", "https://[::1]:80/x"),
            ("https://user:p@[::1]", "https://[::1]"),
        ] {
            assert_eq!(page(given).unwrap(), url);
        }
    }

    #[test]
    fn what_is_no_page_is_none() {
        for given in [
            "null/job/x/1/",
            "vstfs:///Build/Build/1",
            "ssh://host/x",
            "https://",
            "https:///path",
            "https://user:pass/word@host/x",
            "https://host/a b",
            "javascript:alert(1)//http://x",
        ] {
            assert!(page(given).is_err(), "{given}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(
            host("https://u:p@Host.example.com/jenkins/?x").unwrap(),
            "host.example.com/jenkins"
        );
        assert_eq!(host("gitlab.example.com").unwrap(), "gitlab.example.com");
        assert_eq!(host("team@acme").unwrap(), "team@acme", "an account's name");
        assert!(host("://x").is_err());
    }
}
