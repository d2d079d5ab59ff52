//! Times, as servers of all ages wrote them.

use chrono::DateTime;

use crate::documents::Timestamp;

/// Reads RFC 3339 (`2012-02-23T17:19:31+05:30`, `…Z`), the same with an offset without colon, and `2009-04-27 18:32:32 +0800`. Any other
/// text counts as no time: which run a document is about does not hang on it.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z"))
        .ok()
}
