//! `before`: which page of the feed is asked for.

use pipefold_gocd::Dialect;

/// The parameter's name.
const BEFORE: &str = "before";

/// A query whose cursor is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotANumber;

/// Reads a query: only what is below that number, or, without one, the latest page.
///
/// A server of the old dialect takes the digits that a text begins with, and 0 where there are none, so that garbage is an empty page. One of
/// the new dialect takes numbers of 32 bits alone, and nothing for none.
///
/// # Errors
/// In the new dialect, what is no such number.
pub(super) fn before(dialect: Dialect, query: &str) -> Result<Option<u64>, NotANumber> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == BEFORE);
    match dialect {
        // Of several, Rails takes the last.
        Dialect::Old => Ok(values.last().map(|(_, value)| leading(&value))),
        Dialect::New => match values.next() {
            None => Ok(None),
            Some((_, value)) if value.trim().is_empty() => Ok(None),
            Some((_, value)) => match value.parse::<i32>() {
                Ok(number) => Ok(Some(u64::try_from(number).unwrap_or(0))),
                Err(_) => Err(NotANumber),
            },
        },
    }
}

/// The digits at the beginning, as a number.
fn leading(text: &str) -> u64 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text.get(..end) {
        None | Some("") => 0,
        // Above all that there will ever be.
        Some(digits) => digits.parse().unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn as_the_servers_of_each_dialect_read_it() {
        for (query, c, d) in [
            ("", None, Ok(None)),
            ("after=7", None, Ok(None)),
            ("before=7", Some(7), Ok(Some(7))),
            ("x=1&before=%37", Some(7), Ok(Some(7))),
            ("before=7&before=9", Some(9), Ok(Some(7))),
            ("before=", Some(0), Ok(None)),
            ("before", Some(0), Ok(None)),
            ("before=0", Some(0), Ok(Some(0))),
            ("before=-5", Some(0), Ok(Some(0))),
            ("before=abc", Some(0), Err(NotANumber)),
            ("before=7abc", Some(7), Err(NotANumber)),
            ("before=2147483647", Some(2_147_483_647), Ok(Some(2_147_483_647))),
            ("before=2147483648", Some(2_147_483_648), Err(NotANumber)),
            ("before=99999999999999999999", Some(u64::MAX), Err(NotANumber)),
            ("before=%ff", Some(0), Err(NotANumber)),
            ("before=\u{663}", Some(0), Err(NotANumber)),
        ] {
            assert_eq!(before(Dialect::Old, query), Ok(c), "{query}");
            assert_eq!(before(Dialect::New, query), d, "{query}");
        }
    }
}
