//! The accepted forms of timestamps, and the form that is sent.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};
use pipefold_plugin::{Fault, Notification, merge};
use proptest::prelude::*;

use crate::support::minimal;

/// A start as it is sent, or the message of its one violation.
fn sent(text: &str) -> Result<String, String> {
    match merge(&[Notification {
        started_at: Some(text.into()),
        ..minimal()
    }]) {
        Ok(report) => Ok(report.run.started_at),
        Err(violations) => {
            let [violation] = &violations[..] else {
                panic!("{text}: {violations:?}")
            };
            assert_eq!(
                (violation.fault, violation.field.as_str()),
                (Fault::InvalidTimestamp, "started_at")
            );
            Err(violation.message.clone())
        }
    }
}

#[test]
fn accepted() {
    for (text, expected) in [
        // DX's own examples have no zone: UTC.
        ("2025-01-01T12:05:00", "2025-01-01T12:05:00Z"),
        ("2025-01-01T12:05:00Z", "2025-01-01T12:05:00Z"),
        ("20250101T120500Z", "2025-01-01T12:05:00Z"),
        ("20250101T1205", "2025-01-01T12:05:00Z"),
        ("2025-01-01T12:05", "2025-01-01T12:05:00Z"),
        ("2025-01-01T12:05Z", "2025-01-01T12:05:00Z"),
        ("2025-01-01", "2025-01-01T00:00:00Z"),
        ("20250101", "2025-01-01T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        // Fractions: after a point or a comma, any number of digits, trailing zeros dropped.
        ("2025-01-01T12:05:00.5", "2025-01-01T12:05:00.5Z"),
        ("2025-01-01T12:05:00,250Z", "2025-01-01T12:05:00.25Z"),
        ("20250101T120500.123456789+0000", "2025-01-01T12:05:00.123456789Z"),
        ("2025-01-01T12:05:00.0000000019Z", "2025-01-01T12:05:00.000000001Z"),
        ("2025-01-01T12:05:00.000", "2025-01-01T12:05:00Z"),
        // Zones, in any way, after either form.
        ("2025-01-01T12:05:00+01", "2025-01-01T11:05:00Z"),
        ("2025-01-01T12:05:00+0130", "2025-01-01T10:35:00Z"),
        ("20250101T120500+01:30", "2025-01-01T10:35:00Z"),
        ("2025-01-01T12:05-05", "2025-01-01T17:05:00Z"),
        ("20250101T1205-0500", "2025-01-01T17:05:00Z"),
        ("2025-01-01T12:05:00-00:00", "2025-01-01T12:05:00Z"),
        ("2025-01-01T00:00:00+23:59", "2024-12-31T00:01:00Z"),
        ("2025-03-01T00:30:00+01:00", "2025-02-28T23:30:00Z"),
        // Second 60 is the next second.
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T15:59:60.5-08:00", "2017-01-01T00:00:00.5Z"),
        ("20250101T114660", "2025-01-01T11:47:00Z"),
        // The ends of the calendar.
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("0099-12-31", "0099-12-31T00:00:00Z"),
    ] {
        assert_eq!(sent(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn refused() {
    const FORM: &str = "is not an ISO 8601 timestamp";
    const DAY: &str = "is not a valid date";
    const TIME: &str = "is not a valid time of day";
    const ZONE: &str = "has an offset from UTC past 23:59";
    const RANGE: &str = "is outside the years 0000 to 9999 in UTC";
    for (text, why) in [
        ("yesterday", FORM),
        ("1735733100", FORM),
        ("2025", FORM),
        ("2025-01", FORM),
        ("202501", FORM),
        ("2025-1-1", FORM),
        ("25-01-01", FORM),
        ("+2025-01-01", FORM),
        ("-2025-01-01", FORM),
        ("2025-W01-3", FORM),
        ("2025W013", FORM),
        ("2025-001", FORM),
        ("2025001", FORM),
        ("2025/01/01", FORM),
        ("2025-01-01 12:05:00", FORM),
        ("2025-01-01t12:05:00Z", FORM),
        ("2025-01-01T12:05:00z", FORM),
        ("2025-01-01T", FORM),
        ("2025-01-01T12", FORM),
        ("2025-01-01T12:", FORM),
        ("2025-01-01T12:05:", FORM),
        ("2025-01-01T12:5:00", FORM),
        ("2025-01-01T12:05:00.", FORM),
        ("2025-01-01T12:05.5", FORM),
        ("2025-01-01Z", FORM),
        ("2025-01-01+01:00", FORM),
        ("2025-01-01T12:05:00+1", FORM),
        ("2025-01-01T12:05:00+1:00", FORM),
        ("2025-01-01T12:05:00+01:", FORM),
        ("2025-01-01T12:05:00+", FORM),
        ("2025-01-01T12:05:00 UTC", FORM),
        ("2025-01-01T12:05:00Z ", FORM),
        (" 2025-01-01T12:05:00Z", FORM),
        ("2025-01-01T12:05:00ZZ", FORM),
        ("2025-01-01T12:05:00Z[UTC]", FORM),
        // A mixture of both forms.
        ("2025-0101", FORM),
        ("202501-01", FORM),
        ("2025-01-01T120500", FORM),
        ("20250101T12:05:00", FORM),
        ("2025-01-01T12:0500", FORM),
        ("2025-02-30", DAY),
        ("2025-02-29T12:00:00Z", DAY),
        ("2025-13-01", DAY),
        ("2025-00-10", DAY),
        ("2025-01-00", DAY),
        ("1900-02-29", DAY),
        // DX's page prints this finish.
        ("2025-01-01T11:46:67", TIME),
        ("2025-01-01T24:61:00", TIME),
        ("2025-01-01T24:00:00Z", TIME),
        ("2025-01-01T12:60:00Z", TIME),
        ("2025-01-01T12:05:61Z", TIME),
        ("2025-01-01T12:05:00+24:00", ZONE),
        ("2025-01-01T12:05:00+0560", ZONE),
        ("0000-01-01T00:00:00+00:01", RANGE),
        ("9999-12-31T23:59:00-00:01", RANGE),
        ("9999-12-31T23:59:60Z", RANGE),
    ] {
        let expected = format!("\"{text}\" {why}; give ISO 8601, such as 2025-01-01T12:05:00Z");
        assert_eq!(sent(text), Err(expected), "{text}");
    }
    assert!(sent("２０２５-01-01").is_err(), "digits are ASCII");
    assert!(sent("2025-01-01T12:05:00−01:00").is_err(), "signs are ASCII");
}

#[test]
fn any_number_of_digits_up_to_the_field_s_length() {
    let text = format!("2025-01-01T12:05:00.{}", "9".repeat(4000));
    assert_eq!(sent(&text).as_deref(), Ok("2025-01-01T12:05:00.999999999Z"));
}

proptest! {
    /// Every form of a time means the same instant, and chrono reads the form that is sent.
    #[test]
    fn all_forms_agree(
        days in 1_i64..3_652_000,
        second in 0_i64..86_400,
        nanos in 0_u32..1_000_000_000,
        offset in -1439_i32..=1439,
        comma in any::<bool>(),
    ) {
        let offset = FixedOffset::east_opt(offset * 60).unwrap();
        let local = NaiveDate::from_ymd_opt(0, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap()
            + TimeDelta::days(days) + TimeDelta::seconds(second) + TimeDelta::nanoseconds(i64::from(nanos));
        let instant = local.and_local_timezone(offset).unwrap();
        let point = if comma { "," } else { "." };
        let fraction = format!("{point}{nanos:09}");
        for form in ["%Y-%m-%dT%H:%M:%S#%:z", "%Y%m%dT%H%M%S#%z", "%Y-%m-%dT%H:%M:%S#%z", "%Y%m%dT%H%M%S#%:z"] {
            let text = instant.format(form).to_string().replace('#', &fraction);
            let sent = sent(&text).unwrap();
            prop_assert_eq!(DateTime::parse_from_rfc3339(&sent).unwrap(), instant, "{} as {}", text, sent);
            prop_assert!(sent.ends_with('Z') && !sent.contains("0Z") || !sent.contains('.'), "{}", sent);
        }
    }

    /// A time in the form that is sent is sent unchanged.
    #[test]
    fn sent_once_sent_the_same(text in "[0-9]{4}-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:[0-6]0([.,][0-9]{1,12})?(Z|[+-]0[0-9]:?[0-5][0-9])?") {
        if let Ok(once) = sent(&text) {
            let twice = sent(&once);
            prop_assert_eq!(twice.as_deref(), Ok(once.as_str()));
        }
    }
}
