//! `/hooks`: the sources of webhooks, and what became of their last deliveries.

use super::layout::{Here, Shell};
use super::link;
use super::parts::{ago, value};
use super::state::{PageState, Viewer};
use super::words;
use crate::access::Access;
use crate::hooks::{Hook, Seen};
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

pub async fn hooks(State(state): State<PageState>, Viewer(access): Viewer) -> Html<String> {
    let now = state.clock.now();
    let content = html! {
        div .heading { h1 { "Webhooks" } }
        @if state.hooks.all().is_empty() {
            section .empty {
                h2 { "No sources" }
                p { "A source takes the webhooks of a CI system, and so reports its runs without a change of any pipeline:" }
                pre { code { "pipefold serve --source github" } }
            }
        }
        @for hook in state.hooks.all() { (source(hook, &access, now)) }
    };
    Html(Shell::new("Webhooks", Here::Hooks).page(&content).into_string())
}

fn source(hook: &Hook, access: &Access, now: DateTime<Utc>) -> Markup {
    let seen = hook.recent.seen_by(access);
    html! {
        section {
            h2 { (hook.name) }
            dl .facts.wide {
                div { dt { "Address" } dd { code { (hook.name.path()) } } }
                div { dt { "Translation" } dd { (value(&hook.translation)) } }
                div { dt { "Signature" } dd { (hook.scheme().name()) } }
                @for (outcome, count) in hook.counters.now() {
                    @if count > 0 { div { dt { (capitalised(outcome)) } dd { (words::grouped(count)) } } }
                }
            }
            @if seen.is_empty() {
                p .none { "No deliveries since the start of the server." }
            } @else {
                (deliveries(&seen, now))
            }
        }
    }
}

fn deliveries(seen: &[Seen], now: DateTime<Utc>) -> Markup {
    html! {
        table .received {
            caption .hidden { "The last deliveries, newest first" }
            thead {
                tr {
                    th scope="col" { "Answer" }
                    th scope="col" { "Event" }
                    th scope="col" { "Outcome" }
                    th scope="col" { "Delivery" }
                    th .number scope="col" { "Time" }
                }
            }
            tbody {
                @for seen in seen {
                    tr {
                        td { (seen.status) }
                        td { @if let Some(event) = &seen.event { (value(event)) } @else { span .none { "–" } } }
                        td {
                            (value(&seen.outcome))
                            @for run in &seen.runs { " " a href=(link::run(&run.reference_id)) { (value(&run.reference_id)) } }
                        }
                        td { @if let Some(id) = &seen.id { code { (value(id)) } } @else { span .none { "–" } } }
                        td .number { (ago(seen.at, now)) }
                    }
                }
            }
        }
    }
}

/// Returns a word for the beginning of a line.
fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}
