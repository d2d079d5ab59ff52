//! What time it is, and reading the times of notifications.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use std::time::SystemTime;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> DateTime<Utc>);

impl Clock {
    /// One that tells what `now` does.
    #[must_use]
    pub fn new(now: fn() -> DateTime<Utc>) -> Self {
        Self(now)
    }

    pub(super) fn now(self) -> DateTime<Utc> {
        self.0()
    }
}

impl Default for Clock {
    /// The system's.
    fn default() -> Self {
        Self(|| SystemTime::now().into())
    }
}

/// Zones as the rules accept them, and none for UTC (DESIGN, section 3).
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

/// The time that a notification gives, to draw it: whether it is a good one was the rules' to say when it was accepted. `None` where it
/// is written in a way that this does not read; then the time of arrival has to do.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
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
