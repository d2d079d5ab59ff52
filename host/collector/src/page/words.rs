//! Times, durations and numbers as texts.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use std::time::{Duration, SystemTime};

/// Formats a length of time in its two largest units, such as `4m 12s`.
pub fn duration(length: Duration) -> String {
    let (seconds, millis) = (length.as_secs(), length.subsec_millis());
    match seconds {
        0 => format!("{millis}ms"),
        1..=9 => format!("{seconds}.{}s", millis / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Formats a length of time for a mark on an axis, such as `5 min`: one unit if that is exact.
pub fn mark(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => "0".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// Returns the time between two moments; zero if clocks disagree about their order.
pub fn between(from: DateTime<Utc>, until: DateTime<Utc>) -> Duration {
    (until - from).to_std().unwrap_or_default()
}

/// Formats the age of a moment; as a day if it is more than a month, or in the future.
pub fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    // Clocks of machines differ by seconds, which counts as now too.
    let seconds = (now - then).num_seconds();
    match seconds {
        -60..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..2_592_000 => format!("{} d ago", seconds / 86_400),
        _ => then.format("%Y-%m-%d").to_string(),
    }
}

/// Formats a time to the second, such as `2025-01-01 12:05:00 UTC`.
pub fn full(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats a time for programs: RFC 3339, to the second.
pub fn machine(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Formats a count, such as `1 run` and `2 runs`.
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// Formats a number with a thin space between thousands, as in the SI.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Formats a percentage from 0 to 100. Never 100 % if something failed, never 0 % if something passed.
pub fn percent(exact: f64) -> String {
    let rounded = exact.round();
    let shown = if exact < 100.0 && rounded >= 100.0 {
        99.0
    } else if exact > 0.0 && rounded < 1.0 {
        1.0
    } else {
        rounded
    };
    format!("{shown:.0}\u{202f}%")
}

/// A source of the current time.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> DateTime<Utc>);

impl Clock {
    /// Returns a clock that shows the result of `now`.
    #[must_use]
    pub fn new(now: fn() -> DateTime<Utc>) -> Self {
        Self(now)
    }

    pub(super) fn now(self) -> DateTime<Utc> {
        self.0()
    }
}

impl Default for Clock {
    /// The system's clock.
    fn default() -> Self {
        Self(|| SystemTime::now().into())
    }
}

/// The forms of times with a zone that the rules accept.
const WITH_ZONE: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y%m%dT%H%M%S%.f%#z",
    "%Y%m%dT%H%M%#z",
];
const WITHOUT_ZONE: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y%m%dT%H%M%S%.f",
    "%Y%m%dT%H%M",
];
const DAY: [&str; 2] = ["%Y-%m-%d", "%Y%m%d"];

/// Parses the time of a notification, to draw it: the rules checked it when it was accepted. `None` for a form that is not parsed here;
/// then the time of arrival is used.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    // The usual form first.
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let text = text.replace(',', ".");
    let text = text.strip_suffix('Z').unwrap_or(&text);
    let zoned = WITH_ZONE
        .iter()
        .find_map(|form| DateTime::parse_from_str(text, form).ok());
    let naive = || {
        WITHOUT_ZONE
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    let day = || {
        DAY.iter()
            .find_map(|form| NaiveDate::parse_from_str(text, form).ok()?.and_hms_opt(0, 0, 0))
    };
    zoned
        .map(|time| time.to_utc())
        .or_else(|| naive().or_else(day).map(|time| time.and_utc()))
}

/// Formats a length across a drawing that is as wide as the page.
pub fn across(share: f64) -> String {
    format!("{share:.3}%")
}

/// Formats a change that is given as a factor, such as `+38 %` and `×3.2`.
pub fn factor(factor: f64) -> String {
    if factor >= 2.0 {
        format!("×{factor:.1}")
    } else {
        // `factor - 1.0` first would show digits that the factor does not have, and 57.5 as 57.
        let percent = (factor * 100.0 - 100.0).round();
        let sign = if percent < 0.0 { '−' } else { '+' };
        format!("{sign}{:.0}\u{202f}%", percent.abs())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod words_tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_550, "1.5s"),
            (59_999, "59s"),
            (60_000, "1m 00s"),
            (3_599_000, "59m 59s"),
            (3_720_000, "1h 02m"),
            (93_600_000, "1d 2h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        for (seconds, text) in [(0, "0"), (90, "90 s"), (300, "5 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(mark(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn ages_and_clocks_that_disagree() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        for (ago, text) in [
            (-30, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(age(now - chrono::TimeDelta::seconds(ago), now), text);
        }
        assert_eq!(age(now - chrono::TimeDelta::days(365), now), "2024-06-15");
        assert_eq!(age(now + chrono::TimeDelta::days(365), now), "2026-06-15");
        assert_eq!(between(now, now - chrono::TimeDelta::days(1)), Duration::ZERO);
    }

    #[test]
    fn changes() {
        for (change, text) in [
            (1.38, "+38\u{202f}%"),
            (1.575, "+58\u{202f}%"),
            (0.5, "−50\u{202f}%"),
            (3.24, "×3.2"),
            (1.996, "+100\u{202f}%"),
        ] {
            assert_eq!(factor(change), text);
        }
    }

    #[test]
    fn percentages_are_not_rounded_to_perfection() {
        assert_eq!(percent(100.0), "100\u{202f}%");
        assert_eq!(percent(99.9), "99\u{202f}%");
        assert_eq!(percent(57.5), "58\u{202f}%");
        assert_eq!(percent(0.1), "1\u{202f}%");
        assert_eq!(percent(0.0), "0\u{202f}%");
        assert_eq!(
            (count(1, "run"), count(1_234_567, "run")),
            ("1 run".into(), "1\u{202f}234\u{202f}567 runs".into())
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod clock_tests {
    use super::*;

    #[test]
    fn every_accepted_form_is_read() {
        let noon = DateTime::from_timestamp(1_735_732_800, 0).unwrap();
        for text in [
            "2025-01-01T12:00:00Z",
            "2025-01-01T12:00Z",
            "2025-01-01T12:00",
            "2025-01-01T12:00:00.000",
            "2025-01-01T14:00:00,0+02",
            "2025-01-01T14:00:00+0200",
            "20250101T120000Z",
            "20250101T1200",
            "20250101T1000-02:00",
        ] {
            assert_eq!(read(text), Some(noon), "{text}");
        }
        let midnight = DateTime::from_timestamp(1_735_689_600, 0);
        assert_eq!((read("2025-01-01"), read("20250101")), (midnight, midnight));
        for text in ["", "Z", "soon", "2025-13-01T12:00:00Z", "2025-01-01T12:00:00Z<script>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
