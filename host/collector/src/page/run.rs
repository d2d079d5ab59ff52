//! `/runs/{reference_id}`: one run and everything that is known of it.

use super::error::PageError;
use super::facts::facts;
use super::json::set_out;
use super::layout::{Here, Shell};
use super::link;
use super::parts::{Shown, ago, moment, value};
use super::received::received;
use super::state::PageState;
use super::timeline::timeline;
use super::viewer::Viewer;
use super::words;
use crate::access::Access;
use crate::store::{Forwarding, RunKey};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::foreign::visible;
use serde::Deserialize;

pub(super) async fn by_path(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    path: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, PageError> {
    let Path(reference_id) = path.map_err(|error| PageError::Address(error.body_text()))?;
    show(&state, &access, reference_id).await
}

#[derive(Deserialize)]
pub(super) struct ByQuery {
    reference_id: Option<String>,
}

/// `/runs?reference_id=…`, for references that no path can have.
pub(super) async fn by_query(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    query: Result<Query<ByQuery>, QueryRejection>,
) -> Result<Response, PageError> {
    let Query(query) = query.map_err(|error| PageError::Address(error.body_text()))?;
    match query.reference_id {
        Some(reference_id) => show(&state, &access, reference_id)
            .await
            .map(IntoResponse::into_response),
        None => Ok(Redirect::permanent("/").into_response()),
    }
}

async fn show(state: &PageState, access: &Access, reference_id: String) -> Result<Html<String>, PageError> {
    let found = state.store.run(RunKey::Reference(reference_id)).await?;
    let run = found
        .filter(|run| access.may_see(&run.summary.pipeline))
        .ok_or(PageError::NoSuch("run"))?;
    let summary = &run.summary;
    let now = state.clock.now();
    let shown = Shown::of(summary, now, state.stale_after);
    // What has ended rarely changes.
    let events = (summary.completion.is_none() || shown.goes_on())
        .then(|| link::with_query("/events", &[("pipeline", Some(&summary.pipeline))]));
    let content = html! {
        nav .path aria-label="Where" { a href="/" { "Runs" } " / " a href=(link::pipeline(&summary.pipeline)) { (value(&summary.pipeline)) } }
        div #live data-events=[&events] {
            div .heading {
                h1 { (value(&summary.pipeline)) " " span .counter { "#" (summary.counter) } }
                (shown.pill())
            }
            (facts(summary, shown, now))
            section {
                h2 { "Timeline" }
                (timeline(&run, shown, now))
            }
            div .pair {
                section {
                    h2 { "The record for DX" }
                    pre .record tabindex="0" { code { (set_out(&(state.body)(&summary.record))) } }
                }
                section {
                    h2 { "Forwarded" }
                    (forwarded(&run.forwarding, summary.notifications, state.forwards, now))
                }
            }
            section {
                h2 { "Notifications" }
                (received(&run))
            }
        }
    };
    let title = format!("{} #{}", summary.pipeline, summary.counter);
    let shell = Shell::new(&title, Here::Runs).live(events.is_some());
    Ok(Html(shell.page(&content).into_string()))
}

/// What DX was told, and what it said.
fn forwarded(forwarding: &Forwarding, notifications: u32, forwards: bool, now: DateTime<Utc>) -> Markup {
    html! {
        p {
            @match forwarding.waiting_since {
                _ if !forwards && forwarding.covered == 0 => { "This server does not forward to DX." },
                None if notifications > forwarding.covered => {
                    "DX was told " (forwarding.covered) " of " (words::count(notifications.into(), "notification")) "; a policy holds the rest."
                },
                None => { "DX was told everything: " (words::count(notifications.into(), "notification")) "." },
                Some(since) => {
                    "DX was told " (forwarding.covered) " of " (words::count(notifications.into(), "notification")) "; the rest waits, since "
                    (ago(since, now)) "."
                },
            }
        }
        @if let Some(answer) = &forwarding.answer {
            dl .facts {
                dt { "Answer" }
                dd class=(if answer.accepted { "s-success" } else { "s-failure" }) { (if answer.accepted { "accepted" } else { "refused" }) }
                dt { "At" }
                dd { (moment(answer.at)) }
            }
            @if !answer.text.is_empty() { pre .record tabindex="0" { code { (visible(&answer.text)) } } }
        }
    }
}
