//! Columns of results and durations over a span of time, and their scale.

use super::parts::ShownStatus;
use super::span::TimeSpan;
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

/// Draws the number of runs by result.
pub fn results(buckets: &[Bucket], span: TimeSpan, now: DateTime<Utc>) -> Markup {
    let totals: Vec<f64> = buckets.iter().map(|bucket| bucket.counts.total() as f64).collect();
    let step = count_step(ceiling(&totals));
    let axis = Axis::new(step as f64 * f64::from(LINES), |count| {
        words::count(count as u64, "run")
    });
    let busiest = buckets.iter().max_by_key(|bucket| bucket.counts.total());
    let spoken = match busiest {
        Some(bucket) => format!(
            "Runs by result, by time. Most: {} at {}. The numbers are in the table below.",
            words::count(bucket.counts.total(), "run"),
            span.label(bucket.from)
        ),
        None => "There is no run in this time.".to_owned(),
    };
    let lines: Vec<(f64, String)> = (1..=LINES)
        .map(|n| (f64::from(n) / f64::from(LINES), words::grouped(step * u64::from(n))))
        .collect();
    let frame = Frame::new(span, now);
    html! {
        (frame.draw(&spoken, &lines, &html! {
            (frame.gaps(buckets, now))
            @for bucket in buckets {
                @let counts = &bucket.counts;
                @let (failed, judged) = (counts.failure as f64, (counts.failure + counts.success) as f64);
                g {
                    title {
                        (span.label(bucket.from)) ": " (words::count(counts.total(), "run")) ", " (counts.success) " passed, " (counts.failure) " failed"
                    }
                    (frame.column(bucket.from, "s-failure", 0.0, axis.share(failed)))
                    (frame.column(bucket.from, "s-success", axis.share(failed), axis.share(judged)))
                    (frame.column(bucket.from, "s-unknown", axis.share(judged), axis.share(counts.total() as f64)))
                    @if axis.is_above(counts.total() as f64) { (frame.above(bucket.from)) }
                }
            }
        }))
        p .legend { (key("s-failure", "failed")) (key("s-success", "passed")) (key("s-unknown", "other")) (no_runs_key()) }
        (axis.note(buckets.iter().map(|bucket| (bucket, bucket.counts.total() as f64)), span))
    }
}

/// Draws the durations that half of the runs that passed or failed, and nine in ten, did not exceed.
pub fn durations(buckets: &[Bucket], span: TimeSpan, now: DateTime<Utc>) -> Markup {
    let timed: Vec<(&Bucket, f64, f64)> = buckets
        .iter()
        .filter_map(|bucket| {
            let median = bucket.median?;
            Some((bucket, median.as_secs_f64(), bucket.p90.unwrap_or(median).as_secs_f64()))
        })
        .collect();
    let length = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let spoken = match timed.last() {
        Some((bucket, median, p90)) => format!(
            "Durations of runs that passed or failed, by time. Latest, {}: half took at most {}, nine in ten at most {}. The numbers are in the table below.",
            span.label(bucket.from),
            words::duration(length(*median)),
            words::duration(length(*p90))
        ),
        None => "No run has passed or failed in this time.".to_owned(),
    };
    let longest = ceiling(&timed.iter().map(|(_, _, p90)| *p90).collect::<Vec<_>>()).max(1.0);
    let step = step(length(longest), LINES);
    let lines: Vec<(f64, String)> = (1..=LINES)
        .map(|n| (f64::from(n) / f64::from(LINES), words::mark(step * n)))
        .collect();
    let axis = Axis::new((step * LINES).as_secs_f64(), |seconds| {
        words::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    });
    let frame = Frame::new(span, now);
    html! {
        (frame.draw(&spoken, &lines, &html! {
            (frame.gaps(buckets, now))
            @for (bucket, median, p90) in &timed {
                g {
                    title {
                        (span.label(bucket.from)) ": half within " (words::duration(length(*median))) ", nine in ten within " (words::duration(length(*p90)))
                    }
                    (frame.column(bucket.from, "median", 0.0, axis.share(*median)))
                    (frame.column(bucket.from, "p90", axis.share(*median), axis.share(*p90)))
                    @if axis.is_above(*p90) { (frame.above(bucket.from)) }
                }
            }
        }))
        p .legend { (key("median", "half of the runs")) (key("p90", "nine in ten")) (no_runs_key()) }
        (axis.note(timed.iter().map(|(bucket, _, p90)| (*bucket, *p90)), span))
    }
}

fn key(class: &str, text: &str) -> Markup {
    html! { span { svg width="10" height="10" aria-hidden="true" { rect class=(class) width="10" height="10" rx="2" {} } (text) } }
}

fn no_runs_key() -> Markup {
    html! { span { svg width="10" height="10" aria-hidden="true" { circle .no-runs cx="5" cy="5" r="1.75" {} } "no runs" } }
}

/// Returns the height that an axis should have for these columns. A few that are far above the others are cut off, as they would make all
/// others invisible.
fn ceiling(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(highest) = sorted.last().copied() else {
        return 0.0;
    };
    // Four in five columns fit below it.
    let usual = sorted[(sorted.len() * 4).div_ceil(5) - 1];
    if usual > 0.0 && highest > 3.0 * usual {
        1.5 * usual
    } else {
        highest
    }
}

/// Returns the round number of which three reach `most`.
fn count_step(most: f64) -> u64 {
    let least = (most / f64::from(LINES)).ceil().max(1.0) as u64;
    let mut unit = 1;
    loop {
        if let Some(step) = [unit, 2 * unit, 5 * unit].into_iter().find(|step| *step >= least) {
            return step;
        }
        unit *= 10;
    }
}

/// The scale of a chart's columns.
struct Axis {
    top: f64,
    text: fn(f64) -> String,
}

impl Axis {
    fn new(top: f64, text: fn(f64) -> String) -> Self {
        Self { top, text }
    }

    fn share(&self, value: f64) -> f64 {
        (value / self.top).clamp(0.0, 1.0)
    }

    fn is_above(&self, value: f64) -> bool {
        value > self.top
    }

    /// Says which columns are cut off.
    fn note<'b>(&self, values: impl Iterator<Item = (&'b Bucket, f64)>, span: TimeSpan) -> Markup {
        let above: Vec<String> = values
            .filter(|(_, value)| self.is_above(*value))
            .map(|(bucket, value)| format!("{} ({})", span.label(bucket.from), (self.text)(value)))
            .collect();
        html! {
            @if !above.is_empty() { p .note.cut-off { "▲ Higher than the axis: " (above.join(", ")) "." } }
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
                @for (place, (at, anchor, word)) in self.times().into_iter().enumerate() {
                    // On a phone every other one has room.
                    text .spare[place % 2 == 1] x=(across(at)) y=(TOP + FIELD + BOTTOM - 6.0) text-anchor=(anchor) { (word) }
                }
            }
        }
    }

    /// Draws a part of the column that starts at `from`: upwards from `low` to `high`, both from 0 to 1.
    fn column(&self, from: DateTime<Utc>, class: &str, low: f64, high: f64) -> Markup {
        let share = (high - low).clamp(0.0, 1.0);
        let place = self.place(from);
        html! {
            @if share > 0.0 {
                rect class=(class) x=(across(self.width * (place + (1.0 - FILLED) / 2.0))) width=(across(self.width * FILLED))
                    y=(height(high)) height=(format!("{:.1}", share * FIELD)) rx="1" {}
            }
        }
    }

    /// Draws the mark of a column that is cut off at the top.
    fn above(&self, from: DateTime<Utc>) -> Markup {
        html! { svg .above x=(across(self.width * (self.place(from) + 0.5))) y=(TOP) { path d="M-4 6L0 -1L4 6z" {} } }
    }

    /// Draws a mark where there is no run up to now.
    fn gaps(&self, buckets: &[Bucket], now: DateTime<Utc>) -> Markup {
        let length = TimeDelta::from_std(self.span.bucket()).unwrap_or_default();
        let starts = (0..self.span.columns()).map(|n| self.from + length * i32::try_from(n).unwrap_or_default());
        let is_empty = |from: &DateTime<Utc>| *from <= now && buckets.iter().all(|bucket| bucket.from != *from);
        html! {
            @for from in starts.filter(is_empty) {
                circle .no-runs cx=(across(self.width * (self.place(from) + 0.5))) cy=(format!("{:.1}", TOP + FIELD - 4.0)) r="1.75" {
                    title { (self.span.label(from)) ": no runs" }
                }
            }
        }
    }

    /// Returns the number of the column that starts at `from`.
    fn place(&self, from: DateTime<Utc>) -> f64 {
        words::between(self.from, from).as_secs_f64() / self.span.bucket().as_secs_f64()
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

    #[test]
    fn an_outlier_does_not_set_the_height() {
        let mut days = vec![300.0; 30];
        assert_eq!(ceiling(&days), 300.0);
        days.push(79_200.0);
        assert_eq!(ceiling(&days), 450.0);
        assert_eq!((ceiling(&[]), ceiling(&[5.0]), ceiling(&[1.0, 50.0])), (0.0, 5.0, 50.0));
        assert_eq!(ceiling(&[0.0, 0.0, 0.0, 0.0, 7.0]), 7.0, "mostly nothing");
    }

    #[test]
    fn counts_have_round_marks() {
        for (most, step) in [(0.0, 1), (3.0, 1), (4.0, 2), (7.0, 5), (100.0, 50), (1_000.0, 500)] {
            assert_eq!(count_step(most), step, "{most}");
        }
    }
}
