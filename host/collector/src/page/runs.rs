//! `/`: runs, newest first.

use super::error::PageError;
use super::layout::{Here, Shell};
use super::parts::Shown;
use super::pulse::pulse;
use super::query::{RunsAddress, RunsWanted, STATUSES};
use super::state::PageState;
use super::table;
use super::viewer::Viewer;
use crate::store::{Page, RunFilter, RunQuery};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use maud::{Markup, html};

/// Runs on a page: some screens to scroll, and 50 KiB.
const ON_A_PAGE: u16 = 50;

pub(super) async fn runs(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    address: Result<Query<RunsAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(address) = address.map_err(|error| PageError::Address(error.body_text()))?;
    let wanted = RunsWanted::try_from(address)?;
    let query = RunQuery {
        filter: wanted.filter.clone(),
        access,
        after: wanted.after,
        limit: ON_A_PAGE,
    };
    let page = state.store.runs(query).await?;
    // What is older does not change, but for a few; the newest do.
    let events = wanted.after.is_none().then(|| match &wanted.filter.pipeline {
        Some(pipeline) => super::link::with_query("/events", &[("pipeline", Some(pipeline))]),
        None => "/events".to_owned(),
    });
    let content = html! {
        div .heading {
            h1 { "Runs" }
            (search(&wanted.filter))
        }
        (tabs(&wanted.filter, state.forwards))
        div #live data-events=[&events] { (list(&page, &wanted, &state)) }
    };
    let shell = Shell::new("Runs", Here::Runs).live(events.is_some());
    Ok(Html(shell.page(&content).into_string()))
}

fn list(page: &Page, wanted: &RunsWanted, state: &PageState) -> Markup {
    let now = state.clock.now();
    html! {
        @if page.runs.is_empty() {
            (nothing(page, wanted))
        } @else {
            (pulse(&page.runs, state, now))
            (table::runs(&page.runs, "Runs, newest first", state, now))
        }
        @if wanted.after.is_some() || page.next.is_some() {
            nav .pager aria-label="Pages" {
                @if wanted.after.is_some() { a href=(RunsWanted::address(&wanted.filter)) { "Newest" } }
                @if let Some(next) = page.next {
                    a rel="next" href=(RunsWanted::address_after(&wanted.filter, Some(next))) { "Older runs" }
                }
            }
        }
    }
}

/// Where the table would be.
fn nothing(page: &Page, wanted: &RunsWanted) -> Markup {
    html! {
        section .empty {
            @if page.next.is_some() {
                h2 { "Nothing among these runs" }
                p { "The search looks at a few thousand runs at a time. Older ones may fit: go on with “Older runs”." }
            } @else if wanted.after.is_some() {
                h2 { "No older runs" }
            } @else if wanted.filter == RunFilter::default() {
                h2 { "No runs yet" }
                p { "Point a pipeline here, and its runs appear on this page by themselves:" }
                pre { code { "export DX_API_URL=" em { "the address of this server" } "\npipefold exec -- make test" } }
            } @else {
                h2 { "No run fits" }
                p { a href="/" { "Show all runs" } }
            }
        }
    }
}

/// The statuses; everything else that is looked for stays.
fn tabs(filter: &RunFilter, forwards: bool) -> Markup {
    let tab = |status, word: &str| {
        let address = RunsWanted::address(&RunFilter {
            status,
            refused: false,
            ..filter.clone()
        });
        let is_here = filter.status == status && !filter.refused;
        html! { a href=(address) aria-current=[is_here.then_some("true")] { (word) } }
    };
    let refused = RunsWanted::address(&RunFilter {
        status: None,
        refused: true,
        ..filter.clone()
    });
    html! {
        nav .tabs aria-label="Status" {
            (tab(None, "All"))
            @for status in STATUSES { (tab(Some(status), Shown::Is(status).word())) }
            @if forwards || filter.refused {
                a href=(refused) aria-current=[filter.refused.then_some("true")] { "Refused by DX" }
            }
        }
    }
}

fn search(filter: &RunFilter) -> Markup {
    // On a phone the first field is enough, which looks everywhere; the others are shown when they are used.
    let field = |name: &str, label: &str, kind: &str, value: &Option<String>| {
        html! {
            label class=[(kind == "text" && value.is_none()).then_some("spare")] {
                span { (label) }
                input type=(kind) name=(name) value=(value.as_deref().unwrap_or_default()) autocomplete="off" autocapitalize="none"
                    spellcheck="false" maxlength="4096";
            }
        }
    };
    let is_filtered =
        filter.pipeline.is_some() || filter.branch.is_some() || filter.person.is_some() || filter.text.is_some();
    html! {
        form .search role="search" action="/" method="get" {
            @if let Some(status) = filter.status { input type="hidden" name="status" value=(status.as_str()); }
            @if filter.refused { input type="hidden" name="dx" value="refused"; }
            (field("text", "Search", "search", &filter.text))
            (field("pipeline", "Pipeline", "text", &filter.pipeline))
            (field("branch", "Branch", "text", &filter.branch))
            (field("person", "Person", "text", &filter.person))
            div .buttons {
                button { "Filter" }
                @if is_filtered {
                    a href=(RunsWanted::address(&RunFilter { status: filter.status, refused: filter.refused, ..RunFilter::default() })) { "Clear" }
                }
            }
        }
    }
}
