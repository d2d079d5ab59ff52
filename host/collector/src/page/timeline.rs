//! The jobs of a run over time, a lane each.

use super::chart::ticks;
use super::parts::{ShownStatus, value};
use super::words;
use super::words::{across, read};
use crate::store::RunDetail;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use std::time::Duration;

/// The most marks of the axis that do not touch on a phone.
const MARKS: u32 = 4;

/// The narrowest bar, in percent of the whole: a job without duration is visible too.
const NARROWEST: f64 = 0.4;

/// The span that is drawn.
struct Span {
    from: DateTime<Utc>,
    length: Duration,
}

impl Span {
    fn of(lanes: &[Lane], now: Option<DateTime<Utc>>) -> Self {
        let starts = lanes.iter().map(|lane| lane.from);
        let ends = lanes
            .iter()
            .flat_map(|lane| lane.until.into_iter().chain(lane.marks.iter().copied()));
        let from = starts.min().unwrap_or_default();
        let until = ends.chain(now).max().unwrap_or(from);
        // At least a second, as it is a divisor.
        let length = words::between(from, until).max(Duration::from_secs(1));
        Self { from, length }
    }

    /// Returns the place of a moment, in percent.
    fn place(&self, at: DateTime<Utc>) -> f64 {
        100.0 * words::between(self.from, at).as_secs_f64() / self.length.as_secs_f64()
    }
}

/// Shows the timeline of a run with the status `shown`; a run in progress is drawn up to now.
pub fn timeline(run: &RunDetail, shown: ShownStatus, now: DateTime<Utc>) -> Markup {
    let lanes = lanes(run);
    let is_running = shown.goes_on() && run.summary.finished.is_none();
    let span = Span::of(&lanes, is_running.then_some(now));
    let marks = ticks(span.length, MARKS);
    let jobs = run.jobs.len();
    html! {
        table .timeline {
            caption .hidden { "The run and its jobs over time" }
            thead {
                tr {
                    th scope="col" { "Job" }
                    th scope="col" { "Status" }
                    th .number scope="col" { "Duration" }
                    th .axis scope="col" {
                        span .hidden { "Over time" }
                        svg width="100%" height="16" aria-hidden="true" {
                            @for mark in &marks {
                                @let at = 100.0 * mark.as_secs_f64() / span.length.as_secs_f64();
                                // The last one would reach over the edge.
                                text x=(across(at)) y="12" text-anchor=(if at < 5.0 { "start" } else if at > 90.0 { "end" } else { "middle" }) {
                                    (words::mark(*mark))
                                }
                            }
                        }
                    }
                }
            }
            tbody {
                @for lane in &lanes {
                    @let open_end = is_running && lane.goes_on();
                    (row(lane, shown, &span, &marks, open_end.then_some(now)))
                }
            }
        }
        @if jobs > MAX_LANES {
            p .note { "The first " (MAX_LANES) " of " (words::count(jobs as u64, "job")) "." }
        }
    }
}

fn row(lane: &Lane, run: ShownStatus, span: &Span, marks: &[Duration], open_until: Option<DateTime<Utc>>) -> Markup {
    let shown = if lane.job.is_none() {
        run
    } else {
        ShownStatus::Is(lane.status)
    };
    let last = lane
        .until
        .or(open_until)
        .or(lane.marks.iter().max().copied())
        .unwrap_or(lane.from);
    let (left, right) = (span.place(lane.from), span.place(last));
    let width = (right - left).max(NARROWEST);
    let left = left.min(100.0 - NARROWEST);
    html! {
        tr class=(if lane.job.is_none() { "whole" } else { "job" }) {
            th scope="row" {
                @match &lane.job {
                    Some(job) => (value(job)),
                    None => "The run",
                }
                @if lane.is_held { " " span .tag { "held by a policy" } }
            }
            td { (shown.pill()) }
            td .number {
                @match (lane.until, open_until) {
                    (Some(until), _) => (words::duration(words::between(lane.from, until))),
                    (None, Some(now)) => span .so-far { (words::duration(words::between(lane.from, now))) },
                    (None, None) => span .none { "–" },
                }
            }
            td .axis {
                svg width="100%" height="22" role="img" aria-label=(spoken(lane, span)) {
                    @for mark in marks {
                        @let at = across(100.0 * mark.as_secs_f64() / span.length.as_secs_f64());
                        line .grid x1=(at) x2=(at) y1="0" y2="22" {}
                    }
                    rect class={ "bar s-" (shown.name()) @if lane.goes_on() { " open" } }
                        x=(across(left)) width=(across(width)) y="5" height="12" rx="3" {}
                    // The start of a bar is a mark anyway.
                    @for mark in lane.marks.iter().filter(|mark| **mark != lane.from) {
                        circle .mark cx=(across(span.place(*mark))) cy="11" r="2" {}
                    }
                }
            }
        }
    }
}

/// Returns the bar as a text.
fn spoken(lane: &Lane, span: &Span) -> String {
    let after = words::duration(words::between(span.from, lane.from));
    match lane.until {
        Some(until) => format!(
            "Began after {after}, ended after {}",
            words::duration(words::between(span.from, until))
        ),
        None => format!("Began after {after}"),
    }
}

/// The most jobs that are drawn: more than fits any screen, and a page of 200 KiB at most.
pub const MAX_LANES: usize = 200;

/// The most marks in a lane: more would touch.
const MAX_MARKS: usize = 60;

/// A run or a job of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The job's name; `None` for the run itself.
    pub job: Option<String>,
    pub status: Status,
    pub from: DateTime<Utc>,
    /// The end; `None` while none is reported.
    pub until: Option<DateTime<Utc>>,
    /// The starts that the run's notifications report.
    pub marks: Vec<DateTime<Utc>>,
    /// True if a policy holds it.
    pub is_held: bool,
}

impl Lane {
    /// Returns true if no end is known. A job with a result has ended, without a time.
    fn goes_on(&self) -> bool {
        self.until.is_none() && (self.job.is_none() || self.status <= Status::Running)
    }
}

/// Returns the run itself, then its jobs in the order of their start; those without a time at the end.
pub fn lanes(run: &RunDetail) -> Vec<Lane> {
    let summary = &run.summary;
    let mut whole = Lane {
        job: None,
        status: summary.record.status,
        from: summary.started,
        until: summary.finished,
        marks: Vec::new(),
        is_held: false,
    };
    for received in run
        .received
        .iter()
        .filter(|received| received.notification.step.is_none())
    {
        let began = received.notification.started_at.as_deref().and_then(read);
        let at = began.unwrap_or(received.arrived);
        if whole.marks.len() < MAX_MARKS && !whole.marks.contains(&at) {
            whole.marks.push(at);
        }
    }
    let jobs = run.jobs_by_start().into_iter().take(MAX_LANES).map(|kept| Lane {
        job: Some(kept.job.name.clone()),
        status: kept.job.status,
        from: kept.began().unwrap_or(summary.started),
        until: kept.job.finished_at.as_deref().and_then(read),
        marks: Vec::new(),
        is_held: kept.held,
    });
    std::iter::once(whole).chain(jobs).collect()
}
