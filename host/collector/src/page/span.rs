//! Spans of time that statistics are over.

use super::layout::PageError;
use crate::store::Span;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A span of time up to now, with 24 to 53 columns, so that neighbours are distinct on a phone.
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

    /// Returns the span that an address names; the usual one if it names none.
    pub fn wanted(days: Option<&str>) -> Result<Self, PageError> {
        match days {
            None => Ok(Self::default()),
            Some(days) => Self::of_days(days)
                .ok_or_else(|| PageError::Address("No such span: use one of those on the page.".into())),
        }
    }

    /// Returns the span with this number of [`days`](Self::days).
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

    pub fn text(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
            Self::Year => "1 year",
        }
    }

    /// Returns the time of one column.
    pub fn bucket(self) -> Duration {
        Duration::from_secs(match self {
            Self::Day => HOUR,
            Self::Week => 6 * HOUR,
            Self::Month => DAY,
            Self::Quarter => 2 * DAY,
            Self::Year => 7 * DAY,
        })
    }

    /// Returns the number of columns: one more than fit the span, since the first and the last are parts.
    pub fn columns(self) -> u32 {
        let columns = u64::from(self.days()) * DAY / self.bucket().as_secs() + 1;
        u32::try_from(columns).unwrap_or(u32::MAX)
    }

    /// Returns the start of the first column and the end of the one that `now` is in.
    pub fn around(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let bucket = TimeDelta::from_std(self.bucket()).unwrap_or(TimeDelta::hours(1));
        let into = TimeDelta::seconds(now.timestamp().rem_euclid(bucket.num_seconds()));
        let last = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now) - into;
        let until = last + bucket;
        let columns = i32::try_from(self.columns()).unwrap_or(i32::MAX);
        (until - bucket * columns, until)
    }

    /// Returns the span around `now` as the store has it.
    pub fn at(self, now: DateTime<Utc>) -> Span {
        let (from, until) = self.around(now);
        Span {
            from,
            until,
            bucket: self.bucket(),
        }
    }

    /// Returns the label of the column that starts at `from`.
    pub fn label(self, from: DateTime<Utc>) -> String {
        let form = match self {
            Self::Day => "%H:%M",
            Self::Week => "%b %-d, %H:%M",
            Self::Month | Self::Quarter => "%b %-d",
            Self::Year => "%b %-d, %Y",
        };
        from.format(form).to_string()
    }

    /// Returns the label of a column, short enough for the axis.
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
