//! Durations, ages and times as people read them.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// A length of time in its two largest units, such as `4m 12s`.
pub(super) fn duration(length: Duration) -> String {
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

/// A length of time that is a mark on an axis, such as `5 min`: one unit where that says it all.
pub(super) fn mark(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => "0".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// From one moment to another; nothing where clocks disagree about which comes first.
pub(super) fn between(from: DateTime<Utc>, until: DateTime<Utc>) -> Duration {
    (until - from).to_std().unwrap_or_default()
}

/// How long ago it was; the day, where that is more than a month or has not come yet.
pub(super) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    // Clocks of machines differ by seconds: that is now, too.
    let seconds = (now - then).num_seconds();
    match seconds {
        -60..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..2_592_000 => format!("{} d ago", seconds / 86_400),
        _ => then.format("%Y-%m-%d").to_string(),
    }
}

/// To the second, such as `2025-01-01 12:05:00 UTC`.
pub(super) fn full(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// For programs: RFC 3339, to the second.
pub(super) fn machine(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `1 run`, `2 runs`.
pub(super) fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// With a thin space between thousands, as the SI writes it.
pub(super) fn grouped(number: u64) -> String {
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

/// A share from 0 to 1. Never 100 % where something failed, never 0 % where something passed.
pub(super) fn percent(share: f64) -> String {
    let rounded = (share * 100.0).round();
    let shown = if share < 1.0 && rounded >= 100.0 {
        99.0
    } else if share > 0.0 && rounded < 1.0 {
        1.0
    } else {
        rounded
    };
    format!("{shown:.0}\u{202f}%")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
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
    fn shares_are_not_rounded_to_perfection() {
        assert_eq!(percent(1.0), "100\u{202f}%");
        assert_eq!(percent(0.999), "99\u{202f}%");
        assert_eq!(percent(0.001), "1\u{202f}%");
        assert_eq!(percent(0.0), "0\u{202f}%");
        assert_eq!(
            (count(1, "run"), count(1_234_567, "run")),
            ("1 run".into(), "1\u{202f}234\u{202f}567 runs".into())
        );
    }
}
