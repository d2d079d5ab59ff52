//! The notifications of a run, as they were kept.

use super::parts::{moment, value};
use super::words;
use crate::store::{Received, RunDetail};
use maud::{Markup, html};
use pipefold_sandbox::foreign::json;

/// How many are shown: a run may have 10,000, and a page of them would be megabytes. The newest tell how it stands.
const MAX_SHOWN: usize = 300;

pub(super) fn received(run: &RunDetail) -> Markup {
    let hidden = run.received.len().saturating_sub(MAX_SHOWN);
    html! {
        table .received {
            caption .hidden { "Notifications in the order in which they came" }
            thead {
                tr {
                    th .number scope="col" { "No." }
                    th scope="col" { "Arrived" }
                    th scope="col" { "Token" }
                    th scope="col" { "Step" }
                    th scope="col" { "Status" }
                    th scope="col" { "As it was kept" }
                }
            }
            tbody {
                @for (place, received) in run.received.iter().enumerate().skip(hidden) { (row(place + 1, received)) }
            }
        }
        @if hidden > 0 {
            p .note { "The newest " (MAX_SHOWN) " of " (words::count(run.received.len() as u64, "notification")) "." }
        }
    }
}

fn row(number: usize, received: &Received) -> Markup {
    let notification = &received.notification;
    // It has text and numbers only: there is nothing that JSON could not say.
    let json = json(&serde_json::to_string_pretty(notification).unwrap_or_default());
    html! {
        tr {
            td .number { (number) }
            td { (moment(received.arrived)) }
            td { @if received.token.is_empty() { span .none { "–" } } @else { (value(&received.token)) } }
            th scope="row" {
                @match &notification.step {
                    Some(step) => (value(step)),
                    None => span .none { "the run" },
                }
            }
            td { @if let Some(status) = &notification.status { (value(status)) } @else { span .none { "–" } } }
            td {
                @if received.held { span .tag { "held by a policy" } " " }
                details id={ "n-" (number) } {
                    summary { "Show" span .hidden { " notification " (number) } }
                    pre .record tabindex="0" { code { (json) } }
                }
            }
        }
    }
}
