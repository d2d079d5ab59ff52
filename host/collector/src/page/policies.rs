//! `/policies`: the policies, their counters, and what monitored ones would have done.

use super::layout::{Here, Shell};
use super::link;
use super::parts::{ago, value};
use super::state::{PageState, Viewer};
use super::words;
use crate::policies::{Policy, Seen};
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Outcome;

pub async fn policies(State(state): State<PageState>, Viewer(access): Viewer) -> Html<String> {
    let now = state.clock.now();
    let policies = state.policies.seen_by(&access);
    let content = html! {
        div .heading { h1 { "Policies" } }
        @if policies.is_empty() {
            section .empty {
                h2 { "No policies" }
                p { "A policy changes or drops reported runs before they are stored. A monitored one is only tried out:" }
                pre { code { "[[policy]]\nfile = \"redact.wasm\"\nmode = \"monitor\"" } }
            }
        }
        @for policy in &policies { (one(policy, now)) }
    };
    Html(Shell::new("Policies", Here::Policies).page(&content).into_string())
}

fn one(policy: &Policy, now: DateTime<Utc>) -> Markup {
    let counts = &policy.counts;
    let mean = u32::try_from(counts.judged)
        .ok()
        .and_then(|judged| counts.time.checked_div(judged));
    html! {
        section {
            h2 { (value(&policy.name)) }
            dl .facts.wide {
                div { dt { "Mode" } dd { (policy.mode) } }
                @if let Some(trouble) = &policy.trouble { div { dt { "Not asked" } dd { (value(trouble)) } } }
                div { dt { "Questions" } dd { (words::grouped(counts.judged)) } }
                @for outcome in Outcome::ALL {
                    @let count = counts.of(outcome);
                    @if count > 0 { div { dt { (word(outcome, policy.is_monitored())) } dd { (words::grouped(count)) } } }
                }
                @if counts.skipped > 0 { div { dt { "Skipped" } dd { (words::grouped(counts.skipped)) } } }
                @if let Some(mean) = mean {
                    div { dt { "Time of a question" } dd { (format!("{:.2}\u{202f}ms", mean.as_secs_f64() * 1e3)) } }
                    div { dt { "Most memory" } dd { (format!("{}\u{202f}KiB", words::grouped(counts.memory.div_ceil(1024)))) } }
                }
            }
            @if policy.is_monitored() {
                @if !policy.is_whole {
                    p .none { "The runs are shown to tokens of all pipelines." }
                } @else if policy.observations.is_empty() {
                    p .none { "Nothing that it would change, hold or discard." }
                } @else {
                    (observations(&policy.observations, now))
                }
            }
        }
    }
}

fn observations(seen: &[Seen], now: DateTime<Utc>) -> Markup {
    html! {
        table .received {
            caption .hidden { "The last questions for which it would make a difference, newest first" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" { "It would" }
                    th scope="col" { "Hook" }
                    th .number scope="col" { "Time" }
                }
            }
            tbody {
                @for seen in seen {
                    tr {
                        td { a href=(link::run(&seen.reference_id)) { (value(&seen.reference_id)) } }
                        td { (value(&seen.difference())) }
                        td { code { (seen.hook) } }
                        td .number { (ago(seen.at, now)) }
                    }
                }
            }
        }
    }
}

fn word(outcome: Outcome, is_monitored: bool) -> &'static str {
    match (outcome, is_monitored) {
        (Outcome::Unchanged, _) => "Unchanged",
        (Outcome::Changed, false) => "Changed",
        (Outcome::Held, false) => "Held",
        (Outcome::Discarded, false) => "Discarded",
        (Outcome::Failed, false) => "Failed",
        (Outcome::Changed, true) => "Would change",
        (Outcome::Held, true) => "Would hold",
        (Outcome::Discarded, true) => "Would discard",
        (Outcome::Failed, true) => "Would fail",
        (Outcome::Refused, _) => "Refused by the rules",
    }
}
