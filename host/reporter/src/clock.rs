//! The time of day, as text. Everything below takes time as text; nothing else asks the clock for it.

use chrono::{DateTime, SecondsFormat, Utc};

/// Now, in RFC 3339 with milliseconds and `Z`.
#[must_use]
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `start` plus a length that a monotonic clock measured, so that a clock set back meanwhile does not end a run before it began.
/// None if `start` is not RFC 3339.
#[must_use]
pub fn after(start: &str, length: std::time::Duration) -> Option<String> {
    let start = DateTime::parse_from_rfc3339(start).ok()?;
    let end = start.checked_add_signed(chrono::Duration::from_std(length).ok()?)?;
    Some(end.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Whether `a` lies before `b`; false unless both are RFC 3339.
#[must_use]
pub(crate) fn is_before(a: &str, b: &str) -> bool {
    match (DateTime::parse_from_rfc3339(a), DateTime::parse_from_rfc3339(b)) {
        (Ok(a), Ok(b)) => a < b,
        _ => false,
    }
}
