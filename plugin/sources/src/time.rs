//! The forms of time that CI systems use, in the form of the rules: RFC 3339.

use crate::loose::Loose;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// A point in time of a system that writes RFC 3339, or `2016-08-12 15:23:28 UTC` and `… +0000` as Ruby does. Any other text is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(DateTime<Utc>);

impl Moment {
    /// Reads a time. The zero times of Go and of 1970 stand for none.
    pub(crate) fn read(given: &str) -> Option<Self> {
        let zoned = given.trim().strip_suffix("UTC").map(|time| format!("{time}+0000"));
        let given = zoned.as_deref().unwrap_or(given.trim());
        let forms = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
        let read = DateTime::parse_from_rfc3339(given).ok();
        let read = read.or_else(|| forms.iter().find_map(|form| DateTime::parse_from_str(given, form).ok()))?;
        Some(Self(read.with_timezone(&Utc))).filter(|moment| (1971..=9999).contains(&moment.0.year()))
    }
}

/// Its form in RFC 3339.
impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&text(self.0))
    }
}

impl Loose<'_> for Moment {
    fn text(given: &str) -> Option<Self> {
        Self::read(given)
    }
}

/// Returns the time of a number of milliseconds since 1970.
pub(crate) fn of_milliseconds(milliseconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(milliseconds)?;
    Some(text(time))
}

/// Returns the time of a number of seconds since 1970; 0 stands for no time.
pub(crate) fn of_seconds(seconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp(seconds, 0)?;
    (seconds > 0).then(|| text(time))
}

/// Returns a time in one of the given forms of chrono's `strftime`, which have an offset; else the text as it is, for the rules to judge.
pub(crate) fn of_forms(given: &str, forms: &[&str]) -> String {
    let parsed = forms.iter().find_map(|form| DateTime::parse_from_str(given, form).ok());
    parsed.map_or_else(|| given.to_owned(), |time| text(time.with_timezone(&Utc)))
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_moments() {
        for (given, read) in [
            ("2020-10-05T16:33:49Z", "2020-10-05T16:33:49Z"),
            ("2020-10-05T16:33:49.120Z", "2020-10-05T16:33:49.120Z"),
            ("2025-03-24T10:48:56.572438+02:00", "2025-03-24T08:48:56.572438Z"),
            ("2025-03-24T10:48:56+0200", "2025-03-24T08:48:56Z"),
            ("2016-08-12 15:23:28 UTC", "2016-08-12T15:23:28Z"),
            ("2021-02-23 04:41:37 +0200", "2021-02-23T02:41:37Z"),
            ("2021-02-23 04:41:37.5 -0730", "2021-02-23T12:11:37.500Z"),
        ] {
            assert_eq!(Moment::read(given).unwrap().to_string(), read, "{given}");
        }
    }

    #[test]
    fn other_text_is_no_moment() {
        for given in [
            "",
            "UTC",
            "yesterday",
            "1600000000",
            "2016-08-12",
            "2016-08-12 15:23:28",
            "2016-13-12 15:23:28 UTC",
            "0001-01-01T00:00:00Z",
            "1970-01-01T01:00:00+01:00",
            "+12345-01-01T00:00:00Z",
        ] {
            assert_eq!(Moment::read(given), None, "{given}");
        }
    }
}
