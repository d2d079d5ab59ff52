//! Bars of durations and pass rates over a span of time, and their scale.

use super::parts::ShownStatus;
use super::words;
use super::words::across;
use crate::store::{Bucket, StatusCounts};
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use std::time::Duration;

/// The space above the highest line, for its letters.
const TOP: f64 = 8.0;

/// The height of the columns' field.
const FIELD: f64 = 132.0;

/// The space below it, for the marks of time.
const BOTTOM: f64 = 22.0;

/// The marks of time that fit on a phone.
const TIMES: u32 = 4;

/// The lines across, besides the one at the bottom.
const LINES: u32 = 3;

/// The share of a column that is drawn; the rest separates it from the next.
const FILLED: f64 = 0.72;

/// Draws the share of passed runs among those that passed or failed.
pub fn pass_rates(buckets: &[Bucket], span: TimeSpan, now: DateTime<Utc>) -> Markup {
    let judged: Vec<(&Bucket, f64)> = buckets
        .iter()
        .filter_map(|bucket| Some((bucket, bucket.counts.pass_rate()?)))
        .collect();
    let lowest = judged.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
    let spoken = match lowest {
        Some((bucket, rate)) => format!(
            "Share of runs that passed, by time. Lowest: {} at {}. The numbers are in the table below.",
            words::percent(*rate),
            span.label(bucket.from)
        ),
        None => "No run has passed or failed in this time.".to_owned(),
    };
    let frame = Frame::new(span, now);
    let lines = [0.5, 1.0].map(|share| (share, words::percent(share)));
    frame.draw(&spoken, &lines, &html! {
        @for (bucket, rate) in judged {
            @let StatusCounts { success, failure, .. } = bucket.counts;
            g {
                title { (span.label(bucket.from)) ": " (success) " of " (success + failure) " passed (" (words::percent(rate)) ")" }
                (frame.column(bucket.from, "s-success", 0.0, rate))
                (frame.column(bucket.from, "s-failure", rate, 1.0))
            }
        }
    })
}

/// Draws the durations that half of the finished runs, and nine in ten, did not exceed.
pub fn durations(buckets: &[Bucket], span: TimeSpan, now: DateTime<Utc>) -> Markup {
    let timed: Vec<(&Bucket, Duration, Duration)> = buckets
        .iter()
        .filter_map(|bucket| {
            let median = bucket.median?;
            Some((bucket, median, bucket.p90.unwrap_or(median)))
        })
        .collect();
    let longest = timed
        .iter()
        .map(|(_, _, p90)| *p90)
        .max()
        .unwrap_or_default()
        .max(Duration::from_secs(1));
    let spoken = match timed.last() {
        Some((bucket, median, p90)) => format!(
            "Durations of finished runs, by time. Latest, {}: half took at most {}, nine in ten at most {}. The numbers are in the table below.",
            span.label(bucket.from),
            words::duration(*median),
            words::duration(*p90)
        ),
        None => "No run has finished in this time.".to_owned(),
    };
    let step = step(longest, LINES);
    let highest = (step * LINES).as_secs_f64();
    let lines: Vec<(f64, String)> = (1..=LINES)
        .map(|n| (f64::from(n) / f64::from(LINES), words::mark(step * n)))
        .collect();
    let frame = Frame::new(span, now);
    html! {
        (frame.draw(&spoken, &lines, &html! {
            @for (bucket, median, p90) in timed {
                @let (middle, top) = (median.as_secs_f64() / highest, p90.as_secs_f64() / highest);
                g {
                    title { (span.label(bucket.from)) ": half within " (words::duration(median)) ", nine in ten within " (words::duration(p90)) }
                    (frame.column(bucket.from, "median", 0.0, middle))
                    (frame.column(bucket.from, "p90", middle, top))
                }
            }
        }))
        p .legend {
            svg width="10" height="10" aria-hidden="true" { rect .median width="10" height="10" rx="2" {} } " half of the runs "
            svg width="10" height="10" aria-hidden="true" { rect .p90 width="10" height="10" rx="2" {} } " nine in ten"
        }
    }
}

/// The field of the columns.
struct Frame {
    span: TimeSpan,
    from: DateTime<Utc>,
    /// The width of a column, in percent.
    width: f64,
}

impl Frame {
    fn new(span: TimeSpan, now: DateTime<Utc>) -> Self {
        Self {
            span,
            from: span.around(now).0,
            width: 100.0 / f64::from(span.columns()),
        }
    }

    /// Draws the field. `lines` are the heights of lines across, from 0 at the bottom to 1, and their labels.
    fn draw(&self, spoken: &str, lines: &[(f64, String)], columns: &Markup) -> Markup {
        html! {
            svg .chart width="100%" height=(TOP + FIELD + BOTTOM) role="img" aria-label=(spoken) {
                @for (share, word) in lines {
                    @let y = height(*share);
                    line .grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text x="-8" y=(height_beside(*share)) text-anchor="end" { (word) }
                }
                (columns)
                line .base x1="0" x2="100%" y1=(height(0.0)) y2=(height(0.0)) {}
                @for (at, anchor, word) in self.times() {
                    text x=(across(at)) y=(TOP + FIELD + BOTTOM - 6.0) text-anchor=(anchor) { (word) }
                }
            }
        }
    }

    /// Draws a part of the column that starts at `from`: upwards from `low` to `high`, both from 0 to 1.
    fn column(&self, from: DateTime<Utc>, class: &str, low: f64, high: f64) -> Markup {
        let share = (high - low).clamp(0.0, 1.0);
        let place = words::between(self.from, from).as_secs_f64() / self.span.bucket().as_secs_f64();
        html! {
            @if share > 0.0 {
                rect class=(class) x=(across(self.width * (place + (1.0 - FILLED) / 2.0))) width=(across(self.width * FILLED))
                    y=(height(high)) height=(format!("{:.1}", share * FIELD)) rx="1" {}
            }
        }
    }

    /// Returns the marks of time: at the middle of every few columns.
    fn times(&self) -> Vec<(f64, &'static str, String)> {
        let bucket = TimeDelta::from_std(self.span.bucket()).unwrap_or_default();
        let last = self.span.columns() - 1;
        (0..=TIMES)
            .map(|mark| {
                let column = last * mark / TIMES;
                let time = self.from + bucket * i32::try_from(column).unwrap_or_default();
                let (at, anchor) = match mark {
                    0 => (0.0, "start"),
                    TIMES => (100.0, "end"),
                    _ => (self.width * (f64::from(column) + 0.5), "middle"),
                };
                (at, anchor, self.span.mark(time))
            })
            .collect()
    }
}

/// Returns the place of a share of the field's height, from the top of the drawing.
fn height(share: f64) -> String {
    format!("{:.1}", TOP + FIELD * (1.0 - share.clamp(0.0, 1.0)))
}

/// Returns the place of letters beside that line.
fn height_beside(share: f64) -> String {
    format!("{:.1}", TOP + FIELD * (1.0 - share) + 4.0)
}

/// Round durations for people, in seconds.
const STEPS: [u64; 26] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
    31_536_000,
    157_680_000,
    315_360_000,
];

/// Returns the round duration that needs at most `most` marks, after the one at zero.
pub fn step(length: Duration, most: u32) -> Duration {
    let enough = |seconds: &u64| Duration::from_secs(*seconds) * most >= length;
    match STEPS.into_iter().find(enough) {
        Some(seconds) => Duration::from_secs(seconds),
        None => length / most,
    }
}

/// Returns zero and the marks up to `length`.
pub fn ticks(length: Duration, most: u32) -> Vec<Duration> {
    let step = step(length, most);
    (0..=most)
        .map(|n| step * n)
        .take_while(|mark| *mark <= length)
        .collect()
}

/// The statuses in the order in which they are drawn: success is at the left, failure follows.
const DRAWN: [Status; 5] = [
    Status::Success,
    Status::Failure,
    Status::Cancelled,
    Status::Running,
    Status::Unknown,
];

/// Draws the number of each status, as shares of a bar.
pub fn shares(counts: &StatusCounts) -> Markup {
    let total = counts.total().max(1) as f64;
    let words: Vec<String> = DRAWN
        .into_iter()
        .filter(|status| counts.of(*status) > 0)
        .map(|status| format!("{} {status}", counts.of(status)))
        .collect();
    let mut left = 0.0;
    html! {
        svg .share width="100%" height="10" role="img" aria-label=(words.join(", ")) {
            title { (words.join(", ")) }
            @for status in DRAWN {
                @let width = 100.0 * counts.of(status) as f64 / total;
                @if width > 0.0 {
                    rect class={ "s-" (ShownStatus::Is(status).name()) } x=(across(left)) width=(across(width)) height="10" {}
                }
                @let () = left += width;
            }
        }
    }
}

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
    fn marks_are_round_and_few() {
        let seconds = |length: u64| {
            ticks(Duration::from_secs(length), 4)
                .iter()
                .map(Duration::as_secs)
                .collect::<Vec<_>>()
        };
        assert_eq!(seconds(1), [0, 1]);
        assert_eq!(seconds(59), [0, 15, 30, 45]);
        assert_eq!(seconds(3_600), [0, 900, 1_800, 2_700, 3_600]);
        assert_eq!(seconds(86_400 * 9), [0, 604_800]);
        // A wrong clock: centuries are drawn as well.
        assert_eq!(seconds(86_400 * 365 * 9_000).len(), 5);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod span_tests {
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
