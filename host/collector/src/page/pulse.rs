//! The runs of a page at a glance: a bar for each, as high as it took long.

use super::parts::Shown;
use super::state::PageState;
use super::words;
use crate::store::RunSummary;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;

/// Of the drawing, in pixels; across it is as wide as the page.
const HEIGHT: f64 = 44.0;

/// The lowest bar: still a bar.
const LOWEST: f64 = 5.0;

/// Fewer tell nothing that the table does not.
const FEWEST: usize = 8;

/// The runs, newest first as they are in the list; drawn with the newest at the right, as time runs.
pub(super) fn pulse(runs: &[RunSummary], state: &PageState, now: DateTime<Utc>) -> Markup {
    if runs.len() < FEWEST {
        return html! {};
    }
    let took = |run: &RunSummary| words::between(run.started, run.finished.unwrap_or(now)).as_secs_f64();
    let shown: Vec<Shown> = runs.iter().map(|run| Shown::of(run, now, state.stale_after)).collect();
    // By its root: a page has builds of seconds and of hours. Those that still run have no length yet.
    let longest = runs
        .iter()
        .filter(|run| run.finished.is_some())
        .map(took)
        .fold(1.0, f64::max);
    let step = 100.0 / runs.len() as f64;
    let count = |wanted: Shown| shown.iter().filter(|shown| **shown == wanted).count();
    let text = format!(
        "The {} below, oldest at the left: {} succeeded, {} failed, {} running.",
        words::count(runs.len() as u64, "run"),
        count(Shown::Is(Status::Success)),
        count(Shown::Is(Status::Failure)),
        shown.iter().filter(|shown| shown.goes_on()).count(),
    );
    html! {
        svg .pulse role="img" aria-label=(text) width="100%" height=(HEIGHT) {
            @for (place, (run, shown)) in runs.iter().zip(&shown).rev().enumerate() {
                @let share = if run.finished.is_some() { (took(run) / longest).sqrt() } else { 0.0 };
                @let height = LOWEST + (HEIGHT - LOWEST) * share;
                rect class={ "s-" (shown.name()) } x={ (percent(step * place as f64)) } width={ (percent(step * 0.6)) }
                    y={ (format!("{:.1}", HEIGHT - height)) } height={ (format!("{height:.1}")) } rx="1.5" {
                    title { (visible(&run.pipeline)) " #" (run.counter) ", " (shown.name()) }
                }
            }
        }
    }
}

/// A length across a drawing that is as wide as the page.
pub(super) fn percent(share: f64) -> String {
    format!("{share:.3}%")
}
