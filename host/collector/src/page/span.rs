//! The spans of time that a pipeline's page offers.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A span of time up to now, and how finely it is drawn: 24 to 53 columns, so that neighbours are distinct on a phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeSpan {
    Day,
    Week,
    #[default]
    Month,
    Quarter,
    Year,
}

impl TimeSpan {
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The span whose [`days`](Self::days) are written so.
    pub fn of_days(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.days().to_string() == text)
    }

    pub fn days(self) -> u16 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
            Self::Year => "1 year",
        }
    }

    /// The time that one column stands for.
    pub fn bucket(self) -> Duration {
        Duration::from_secs(match self {
            Self::Day => HOUR,
            Self::Week => 6 * HOUR,
            Self::Month => DAY,
            Self::Quarter => 2 * DAY,
            Self::Year => 7 * DAY,
        })
    }

    /// Returns how many columns there are: one more than fit the span, since the first and the last are parts.
    pub fn columns(self) -> u32 {
        let columns = u64::from(self.days()) * DAY / self.bucket().as_secs() + 1;
        u32::try_from(columns).unwrap_or(u32::MAX)
    }

    /// From the begin of the first column to the end of the one that `now` is in.
    pub fn around(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let bucket = TimeDelta::from_std(self.bucket()).unwrap_or(TimeDelta::hours(1));
        let into = TimeDelta::seconds(now.timestamp().rem_euclid(bucket.num_seconds()));
        let last = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now) - into;
        let until = last + bucket;
        let columns = i32::try_from(self.columns()).unwrap_or(i32::MAX);
        (until - bucket * columns, until)
    }

    /// A column, by when it begins.
    pub fn label(self, from: DateTime<Utc>) -> String {
        let form = match self {
            Self::Day => "%H:%M",
            Self::Week => "%b %-d, %H:%M",
            Self::Month | Self::Quarter => "%b %-d",
            Self::Year => "%b %-d, %Y",
        };
        from.format(form).to_string()
    }

    /// The same, short enough for the axis.
    pub fn mark(self, from: DateTime<Utc>) -> String {
        let form = match self {
            Self::Day => "%H:%M",
            Self::Week | Self::Month | Self::Quarter => "%b %-d",
            Self::Year => "%b %Y",
        };
        from.format(form).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn now_is_in_the_last_column_and_the_span_is_covered() {
        let now = DateTime::from_timestamp(1_750_000_123, 0).unwrap();
        for span in TimeSpan::ALL {
            let (from, until) = span.around(now);
            assert!(
                until > now && until - now <= TimeDelta::from_std(span.bucket()).unwrap(),
                "{span:?}"
            );
            assert!(now - from >= TimeDelta::days(span.days().into()), "{span:?}");
            assert_eq!(
                (until - from).num_seconds(),
                i64::from(span.columns()) * span.bucket().as_secs().cast_signed()
            );
            assert_eq!(from.timestamp().rem_euclid(span.bucket().as_secs().cast_signed()), 0);
            assert!((24..=54).contains(&span.columns()), "{span:?}");
            assert_eq!(TimeSpan::of_days(&span.days().to_string()), Some(span));
        }
        assert_eq!((TimeSpan::of_days("2"), TimeSpan::of_days("030")), (None, None));
    }
}
