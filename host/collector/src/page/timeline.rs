//! The steps of a run over time, a lane each.

use super::chart::ticks;
use super::parts::{ShownStatus, value};
use super::words;
use super::words::{across, read};
use crate::store::{Received, RunDetail};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use std::collections::HashMap;
use std::time::Duration;

/// The most marks of the axis that do not touch on a phone.
const MARKS: u32 = 4;

/// The narrowest bar, in percent of the whole: a step without duration is visible too.
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
    let steps = run.jobs.iter().filter(|job| job.step.is_some()).count();
    html! {
        table .timeline {
            caption .hidden { "The run and its steps over time" }
            thead {
                tr {
                    th scope="col" { "Step" }
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
                    @let open_end = is_running && lane.until.is_none();
                    (row(lane, shown, &span, &marks, open_end.then_some(now)))
                }
            }
        }
        @if steps > MAX_LANES {
            p .note { "The first " (MAX_LANES) " of " (words::count(steps as u64, "step")) "." }
        }
    }
}

fn row(lane: &Lane, run: ShownStatus, span: &Span, marks: &[Duration], open_until: Option<DateTime<Utc>>) -> Markup {
    let shown = if lane.step.is_none() {
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
        tr class=(if lane.step.is_none() { "whole" } else { "step" }) {
            th scope="row" {
                @match &lane.step {
                    Some(step) => (value(step)),
                    None => "The run",
                }
                @if lane.allowed_to_fail { " " span .tag { "may fail" } }
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
                    rect class={ "bar s-" (shown.name()) @if lane.until.is_none() { " open" } }
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
    let notifications = words::count(lane.marks.len() as u64, "notification");
    match lane.until {
        Some(until) => format!(
            "Began after {after}, ended after {}, {notifications}",
            words::duration(words::between(span.from, until))
        ),
        None => format!("Began after {after}, {notifications}"),
    }
}

/// The most steps that are drawn: more than fits any screen, and a page of 200 KiB at most.
pub const MAX_LANES: usize = 200;

/// The most marks in a lane: more would touch.
const MAX_MARKS: usize = 60;

/// A run or a step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The step; `None` for the run itself.
    pub step: Option<String>,
    /// The status: of the run by the rules, of a step the highest of those it reported.
    pub status: Status,
    pub from: DateTime<Utc>,
    /// The end; `None` while none is reported.
    pub until: Option<DateTime<Utc>>,
    /// The starts that its notifications report.
    pub marks: Vec<DateTime<Utc>>,
    /// True if its failure is not the run's.
    pub allowed_to_fail: bool,
}

/// Returns the run itself, then its steps in the order in which they appeared.
pub fn lanes(run: &RunDetail) -> Vec<Lane> {
    let summary = &run.summary;
    let mut lanes = vec![Lane {
        step: None,
        status: summary.record.status,
        from: summary.started,
        until: summary.finished,
        marks: Vec::new(),
        allowed_to_fail: false,
    }];
    let mut places: HashMap<&str, usize> = HashMap::new();
    for received in &run.received {
        let Some(step) = received.notification.step.as_deref() else {
            mark(&mut lanes[0], began(received));
            continue;
        };
        let place = *places.entry(step).or_insert(lanes.len());
        if place < lanes.len() {
            extend(&mut lanes[place], received);
        } else if place <= MAX_LANES {
            lanes.push(begin(step, received));
        }
    }
    lanes.iter_mut().skip(1).for_each(close);
    lanes
}

fn began(received: &Received) -> DateTime<Utc> {
    received
        .notification
        .started_at
        .as_deref()
        .and_then(read)
        .unwrap_or(received.arrived)
}

fn ended(received: &Received) -> Option<DateTime<Utc>> {
    received.notification.finished_at.as_deref().and_then(read)
}

fn status(received: &Received) -> Status {
    match received.notification.status.as_deref() {
        Some("running") => Status::Running,
        Some("success") => Status::Success,
        Some("cancelled") => Status::Cancelled,
        Some("failure") => Status::Failure,
        _ => Status::Unknown,
    }
}

fn begin(step: &str, received: &Received) -> Lane {
    let from = began(received);
    Lane {
        step: Some(step.to_owned()),
        status: status(received),
        from,
        until: ended(received),
        marks: vec![from],
        allowed_to_fail: received.notification.allowed_to_fail,
    }
}

fn extend(lane: &mut Lane, received: &Received) {
    let began = began(received);
    lane.status = lane.status.max(status(received));
    lane.from = lane.from.min(began);
    lane.until = lane.until.max(ended(received));
    lane.allowed_to_fail |= received.notification.allowed_to_fail;
    mark(lane, began);
}

fn mark(lane: &mut Lane, at: DateTime<Utc>) {
    if lane.marks.len() < MAX_MARKS && !lane.marks.contains(&at) {
        lane.marks.push(at);
    }
}

/// A step with a result and without an end ended at its last mark.
fn close(lane: &mut Lane) {
    if lane.until.is_none() && lane.status > Status::Running {
        lane.until = lane.marks.iter().max().copied();
    }
}
