//! That the server will not speak this way for ever.

use ureq::http::HeaderMap;

/// What a server says of the age of what was asked for, in its own words and unchecked: GoCD 20.1 to 20.3 of dialect C, and 25.4 and later
/// of D (GoCD API, "API changelog"). Only GoCD's: a cache in between may warn of other things.
pub(super) fn notice(headers: &HeaderMap) -> Option<String> {
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

    fn said(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_static(value));
        }
        notice(&map)
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
