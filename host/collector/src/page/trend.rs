//! Pieces about the state of a pipeline: its failure, its latest runs as a small drawing, and changes against the span before.

use super::link;
use super::link::RunsWanted;
use super::parts::{ShownStatus, ago, person, value};
use super::words;
use crate::store::{Failing, PipelineNow, RunFilter, RunSummary};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;
use std::fmt::Write;
use std::time::Duration;

/// Shows whether the main branch fails.
pub fn state(pipeline: &PipelineNow, shown: ShownStatus) -> Markup {
    match pipeline.state {
        Some(Status::Failure) => ShownStatus::Is(Status::Failure).pill_as("Failing"),
        Some(_) => ShownStatus::Is(Status::Success).pill_as("Passing"),
        None => shown.pill(),
    }
}

/// Shows since when a branch fails, with which run and whose, the steps that failed, and the way to the log.
pub fn failure(failing: &Failing, now: DateTime<Utc>) -> Markup {
    let Failing { first, last, steps, .. } = failing;
    html! {
        span .failure {
            "Since " (ago(first.started, now)) ", first " (numbered(first))
            @if let Some(person) = person(&first.record) { " by " (by(person)) }
            @if failing.runs > 1 { ", " (words::grouped(failing.runs)) " failed runs up to " (numbered(last)) }
            @if let Some(step) = steps.first() {
                "; failed step " b { (value(step)) }
                @if steps.len() > 1 { " and " (steps.len() - 1) " more" }
            }
            @if let Some(address) = last.record.source_url.as_deref().filter(|address| link::is_web_address(address)) {
                " · " a href=(address) rel="noopener noreferrer nofollow external" title=(visible(address)) { "Log" span .hidden { " of run #" (last.counter) } " ↗" }
            }
            @if failing.is_flaky { " " (flaky_tag()) }
        }
    }
}

fn by(person: &str) -> Markup {
    let filter = RunFilter {
        person: Some(person.to_owned()),
        ..RunFilter::default()
    };
    html! { a .quiet href=(RunsWanted::address(&filter)) { (value(person)) } }
}

/// Shows a run as its number, which leads to it.
pub fn numbered(run: &RunSummary) -> Markup {
    html! { a href=(link::run(&run.record.reference_id)) { "#" (run.counter) } }
}

/// The meaning of the mark of flaky runs.
pub const FLAKY: &str = "The same commit has passed and failed in this pipeline.";

/// Marks a run whose commit has passed and failed.
pub fn flaky_tag() -> Markup {
    html! { span .tag.flaky title=(FLAKY) { "flaky" } }
}

/// Shows the other runs of the same commit in the same pipeline, if there are any.
pub fn siblings(runs: &[RunSummary], run: &RunSummary, now: DateTime<Utc>, stale_after: Duration) -> Markup {
    let has = |status| runs.iter().any(|run| run.record.status == status);
    html! {
        @if runs.len() > 1 {
            section {
                h2 { "Runs of this commit" }
                (attempts(runs, Some(run.id), now, stale_after))
                @if has(Status::Success) && has(Status::Failure) { p .note { (flaky_tag()) " " (FLAKY) } }
            }
        }
    }
}

/// Shows the runs of a commit, the oldest first.
pub fn attempts(runs: &[RunSummary], here: Option<u64>, now: DateTime<Utc>, stale_after: Duration) -> Markup {
    html! {
        ul .attempts {
            @for run in runs {
                li {
                    (ShownStatus::of(run, now, stale_after).pill()) " "
                    @if here == Some(run.id) { b { "#" (run.counter) } " this run" } @else { (numbered(run)) " " (ago(run.started, now)) }
                }
            }
        }
    }
}

/// The height of the small drawing, in pixels.
const HEIGHT: f64 = 22.0;

/// The height of its lowest bar.
const LOWEST: f64 = 5.0;

/// The distance of two bars.
const STEP: f64 = 5.0;

/// Draws the newest runs of the main branch, the newest at the right, the height by the root of the duration. Bars of one status are one
/// path, which keeps a page of many drawings small.
pub fn spark(pipeline: &PipelineNow, most: usize) -> Markup {
    let recent = &pipeline.recent;
    let took = |length: &Option<Duration>| length.unwrap_or_default().as_secs_f64();
    let longest = recent.iter().map(|(_, length)| took(length)).fold(1.0, f64::max);
    let bar = |path: &mut String, place: usize, length: &Option<Duration>| {
        let height = LOWEST + (HEIGHT - LOWEST) * (took(length) / longest).sqrt();
        let x = STEP * (most - place) as f64 - 2.0;
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x} {HEIGHT}v-{height:.1}");
    };
    let mut paths: Vec<(Status, u64, String)> = Vec::new();
    for (place, (status, length)) in recent.iter().enumerate() {
        let known = paths.iter().position(|(known, ..)| known == status);
        let known = known.unwrap_or_else(|| {
            paths.push((*status, 0, String::new()));
            paths.len() - 1
        });
        paths[known].1 += 1;
        bar(&mut paths[known].2, place, length);
    }
    let counts: Vec<String> = paths
        .iter()
        .map(|(status, count, _)| format!("{count} {status}"))
        .collect();
    let spoken = format!(
        "The latest {}: {}",
        words::count(recent.len() as u64, "run"),
        counts.join(", ")
    );
    html! {
        svg .spark width=(STEP * most as f64) height=(HEIGHT) role="img" aria-label=(spoken) {
            title { (spoken) }
            @for (status, _, path) in &paths { path class={ "s-" (status.as_str()) } d=(path) {} }
        }
    }
}

/// The least change that is shown: less is chance.
const NOTEWORTHY: f64 = 0.05;

/// Shows the change of a length against the span before. More is worse.
pub fn change(before: Option<Duration>, now: Option<Duration>) -> Markup {
    let factor = crate::store::factor(before, now);
    let was = before.map(|before| format!("Before: {}", words::duration(before)));
    changed(factor, was)
}

/// Shows a change, given as a factor. More is worse.
pub fn changed(factor: Option<f64>, was: Option<String>) -> Markup {
    let shown = factor.filter(|factor| (factor - 1.0).abs() >= NOTEWORTHY);
    html! {
        @if let Some(factor) = shown {
            " " span class={ "change " (if factor > 1.0 { "worse" } else { "better" }) } title=[was] { (words::factor(factor)) }
        }
    }
}
