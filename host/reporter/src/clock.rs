//! The time of day, as text. All other modules take it from here.

use chrono::{DateTime, SecondsFormat, Utc};

/// Now, in RFC 3339 with milliseconds and `Z`.
#[must_use]
pub fn now() -> String {
    time().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Now, in milliseconds since 1970, the unit of noted pauses.
#[must_use]
pub(crate) fn milliseconds() -> u64 {
    u64::try_from(time().timestamp_millis()).unwrap_or(0)
}

/// A time in milliseconds since 1970 as text, to the second.
#[must_use]
pub(crate) fn text(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns true if the clock is known to be wrong: it is before pipefold was made, as on a board without a battery. DX keeps a run's
/// earliest start, so one such time would stay with the run.
#[must_use]
pub(crate) fn is_wrong() -> bool {
    // The beginning of 2025.
    const MADE: u64 = 1_735_689_600_000;
    milliseconds() < MADE
}

/// The system's clock.
fn system() -> DateTime<Utc> {
    of(std::time::SystemTime::now())
}

/// A time of the system's clock. A time before 1970, which the library refuses, is valid here: boards without a battery begin anywhere.
fn of(time: std::time::SystemTime) -> DateTime<Utc> {
    time.into()
}

#[cfg(not(test))]
fn time() -> DateTime<Utc> {
    system()
}

#[cfg(test)]
pub(crate) use injected::{advance, set_back, time};

/// The clock of a test, which the test can put forward.
#[cfg(test)]
mod injected {
    use chrono::{DateTime, TimeDelta, Utc};
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static AHEAD: Cell<TimeDelta> = const { Cell::new(TimeDelta::zero()) };
    }

    pub(crate) fn time() -> DateTime<Utc> {
        super::system() + AHEAD.get()
    }

    /// Puts the clock of this thread forward.
    pub(crate) fn advance(length: Duration) {
        let length = TimeDelta::from_std(length).unwrap_or_default();
        AHEAD.set(AHEAD.get() + length);
    }

    /// Sets the clock of this thread back to 1970.
    pub(crate) fn set_back() {
        AHEAD.set(DateTime::UNIX_EPOCH - super::system());
    }
}

/// `start` plus a length that a monotonic clock measured, so that a clock set back meanwhile does not end a run before it began.
/// None if `start` is not RFC 3339.
#[must_use]
pub fn after(start: &str, length: std::time::Duration) -> Option<String> {
    let start = DateTime::parse_from_rfc3339(start).ok()?;
    let end = start.checked_add_signed(chrono::Duration::from_std(length).ok()?)?;
    Some(end.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Returns true if the text is a time in RFC 3339.
#[must_use]
pub(crate) fn is_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok()
}

/// Returns true if `a` is before `b`, and both are RFC 3339.
#[must_use]
pub(crate) fn is_before(a: &str, b: &str) -> bool {
    match (DateTime::parse_from_rfc3339(a), DateTime::parse_from_rfc3339(b)) {
        (Ok(a), Ok(b)) => a < b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_clock_before_1970_is_read() {
        let before = super::of(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before.to_rfc3339(), "1969-12-31T23:59:59+00:00");
    }
}
