//! The forms of time that CI systems use, in the form of the rules: RFC 3339.

use crate::loose::Loose;
use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};

/// A point in time of a system that writes RFC 3339, `2016-08-12 15:23:28 UTC` and `… +0000` as Ruby does, or
/// `20160812T152328+0000` as TeamCity does. Any other text is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(DateTime<Utc>);

impl Moment {
    /// Reads a time. The zero times of Go and of 1970 stand for none.
    pub(crate) fn read(given: &str) -> Option<Self> {
        let given = given.trim();
        let read = DateTime::parse_from_rfc3339(given).ok();
        let read = read.or_else(|| DateTime::parse_from_rfc3339(&rfc_3339(given)?).ok())?;
        Self::of(read.with_timezone(&Utc))
    }

    /// Returns the time of a number of seconds since 1970; 0 stands for none.
    pub(crate) fn of_seconds(seconds: i64) -> Option<Self> {
        Self::of(DateTime::from_timestamp(seconds, 0)?)
    }

    /// Returns the time of a number of milliseconds since 1970; 0 stands for none.
    pub(crate) fn of_milliseconds(milliseconds: i64) -> Option<Self> {
        Self::of(DateTime::from_timestamp_millis(milliseconds)?)
    }

    /// Returns the time so many milliseconds before.
    pub(crate) fn before(self, milliseconds: i64) -> Option<Self> {
        Self::of(self.0.checked_sub_signed(TimeDelta::try_milliseconds(milliseconds)?)?)
    }

    fn of(time: DateTime<Utc>) -> Option<Self> {
        Some(Self(time)).filter(|moment| (1971..=9999).contains(&moment.0.year()))
    }
}

/// Its form in RFC 3339.
impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&text(self.0))
    }
}

impl Loose for Moment {
    fn text(given: &str) -> Option<Self> {
        Self::read(given)
    }
}

/// Writes a time of another form in that of RFC 3339; the result need not be a time. The formats of chrono would be a tenth of the component.
fn rfc_3339(given: &str) -> Option<String> {
    let (time, zone) = match given.strip_suffix("UTC").or_else(|| given.strip_suffix('Z')) {
        Some(time) => (time, "+00"),
        None => given.split_at(given.rfind(['+', '-'])?),
    };
    let (hours, minutes) = zone.split_at_checked(3)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes = if minutes.is_empty() { "00" } else { minutes };
    let time = time.trim_end();
    let is_number = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let zone = [hours, ":", minutes].concat();
    Some(match time.split_once('T') {
        Some((date, clock)) if is_number(date, 8) && is_number(clock, 6) => {
            let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
            let (hour, minute, second) = (&clock[..2], &clock[2..4], &clock[4..]);
            [year, "-", month, "-", day, "T", hour, ":", minute, ":", second, &zone].concat()
        }
        _ => [time, &zone].concat(),
    })
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
            ("20210223T044137+0200", "2021-02-23T02:41:37Z"),
            ("20210223T044137-02:30", "2021-02-23T07:11:37Z"),
            ("20210223T044137Z", "2021-02-23T04:41:37Z"),
            ("2021-02-23T04:41:37+02", "2021-02-23T02:41:37Z"),
            (" 2021-02-23T04:41:37.25 +02 ", "2021-02-23T02:41:37.250Z"),
        ] {
            assert_eq!(Moment::read(given).unwrap().to_string(), read, "{given}");
        }
    }

    #[test]
    fn numbers_of_moments() {
        let text = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
        let whole = Some("2025-01-01T12:05:00Z".to_owned());
        assert_eq!(text(Moment::of_seconds(1_735_733_100)), whole);
        assert_eq!(text(Moment::of_milliseconds(1_735_733_100_000)), whole);
        let later = Moment::of_milliseconds(1_735_733_100_250).unwrap();
        assert_eq!(text(later.before(250)), whole);
        for none in [0, -1, i64::MAX, i64::MIN] {
            assert_eq!((Moment::of_seconds(none), Moment::of_milliseconds(none)), (None, None));
            assert_eq!(later.before(none).is_some(), none == 0 || none == -1);
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
            "2016-08-12T15:23:28+",
            "2016-08-12T15:23:28+2",
            "2016-08-12T15:23:28+0é0",
            "2016-08-12T15:23:28+25:00",
            "2016081éT15232+0000",
            "+0000",
            "-",
            "0001-01-01T00:00:00Z",
            "1970-01-01T01:00:00+01:00",
            "+12345-01-01T00:00:00Z",
        ] {
            assert_eq!(Moment::read(given), None, "{given}");
        }
    }
}
