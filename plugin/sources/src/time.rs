//! The forms of time that CI systems use, in the form of the rules: RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

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
