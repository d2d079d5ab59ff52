//! The list of runs.

use super::layout::{Here, PageError, Shell};
use super::link::{RunsAddress, RunsWanted, STATUSES};
use super::parts::{ShownStatus, ago, duration, person, short_commit, value};
use super::state::{PageState, Viewer};
use super::words::across;
use super::{link, words};
use crate::store::{Page, RunFilter, RunQuery, RunSummary};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;

/// The runs of a page: some screens to scroll, and 50 KiB.
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
    // Older runs change rarely; the newest do.
    let events = wanted.after.is_none().then(|| match &wanted.filter.pipeline {
        Some(pipeline) => link::with_query("/events", &[("pipeline", Some(pipeline))]),
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
            (table(&page.runs, "Runs, newest first", state, now))
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

/// Shows a text instead of the table.
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
                h2 { "No matching run" }
                p { a href="/" { "Show all runs" } }
            }
        }
    }
}

/// Shows the statuses; the rest of the filter stays.
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
            @for status in STATUSES { (tab(Some(status), ShownStatus::Is(status).text())) }
            @if forwards || filter.refused {
                a href=(refused) aria-current=[filter.refused.then_some("true")] { "Refused by DX" }
            }
        }
    }
}

fn search(filter: &RunFilter) -> Markup {
    // On a phone the first field, which searches everywhere, is enough; the others are shown when they are used.
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

/// Shows the runs in this order. `caption` describes them for people who do not see the page.
pub fn table(runs: &[RunSummary], caption: &str, state: &PageState, now: DateTime<Utc>) -> Markup {
    html! {
        table .runs {
            caption .hidden { (caption) }
            thead {
                tr {
                    th scope="col" { "Status" }
                    th scope="col" { "Run" }
                    th scope="col" { "Branch" }
                    th scope="col" { "Commit" }
                    th scope="col" { "Person" }
                    th .number scope="col" { "Duration" }
                    th .number scope="col" { "Started" }
                }
            }
            tbody {
                @for run in runs { (row(run, ShownStatus::of(run, now, state.stale_after), now)) }
            }
        }
    }
}

fn row(run: &RunSummary, shown: ShownStatus, now: DateTime<Utc>) -> Markup {
    let record = &run.record;
    let list = |filter| RunsWanted::address(&filter);
    html! {
        tr {
            td .status { (shown.pill()) }
            th .run scope="row" {
                a .name href=(link::run(&record.reference_id)) title=(visible(&record.reference_id)) {
                    (value(&run.pipeline)) " " span .counter { "#" (run.counter) }
                }
                span .where {
                    (value(&record.pipeline_source))
                    @if let Some(repository) = &record.repository { " · " (value(repository)) }
                }
            }
            td .branch {
                @if let Some(branch) = &record.head_branch {
                    a .quiet href=(list(RunFilter { branch: Some(branch.clone()), ..RunFilter::default() })) title=(visible(branch)) { (value(branch)) }
                }
                @if let Some(number) = record.pr_number { " " span .pr { "#" (number) } }
            }
            td .commit {
                @if let Some(commit) = &record.commit_sha { code title=(visible(commit)) { (value(short_commit(commit))) } }
            }
            td .person {
                @if let Some(person) = person(record) {
                    a .quiet href=(list(RunFilter { person: Some(person.to_owned()), ..RunFilter::default() })) title=(visible(person)) { (value(person)) }
                }
            }
            td .number.duration { (duration(run, shown, now)) }
            td .number.age { (ago(run.started, now)) }
        }
    }
}

/// The height of the drawing, in pixels; it is as wide as the page.
const HEIGHT: f64 = 44.0;

/// The height of the lowest bar.
const LOWEST: f64 = 5.0;

/// The fewest runs that are drawn: fewer show no more than the table.
const FEWEST: usize = 8;

/// Draws the runs, which are newest first in the list, with the newest at the right.
fn pulse(runs: &[RunSummary], state: &PageState, now: DateTime<Utc>) -> Markup {
    if runs.len() < FEWEST {
        return html! {};
    }
    let took = |run: &RunSummary| words::between(run.started, run.finished.unwrap_or(now)).as_secs_f64();
    let shown: Vec<ShownStatus> = runs
        .iter()
        .map(|run| ShownStatus::of(run, now, state.stale_after))
        .collect();
    // The height is by the root of the duration: a page has builds of seconds and of hours. Runs in progress have no length yet.
    let longest = runs
        .iter()
        .filter(|run| run.finished.is_some())
        .map(took)
        .fold(1.0, f64::max);
    let step = 100.0 / runs.len() as f64;
    let count = |wanted: ShownStatus| shown.iter().filter(|shown| **shown == wanted).count();
    let text = format!(
        "The {} below, oldest at the left: {} succeeded, {} failed, {} running.",
        words::count(runs.len() as u64, "run"),
        count(ShownStatus::Is(Status::Success)),
        count(ShownStatus::Is(Status::Failure)),
        shown.iter().filter(|shown| shown.goes_on()).count(),
    );
    html! {
        svg .pulse role="img" aria-label=(text) width="100%" height=(HEIGHT) {
            @for (place, (run, shown)) in runs.iter().zip(&shown).rev().enumerate() {
                @let share = if run.finished.is_some() { (took(run) / longest).sqrt() } else { 0.0 };
                @let height = LOWEST + (HEIGHT - LOWEST) * share;
                rect class={ "s-" (shown.name()) } x={ (across(step * place as f64)) } width={ (across(step * 0.6)) }
                    y={ (format!("{:.1}", HEIGHT - height)) } height={ (format!("{height:.1}")) } rx="1.5" {
                    title { (visible(&run.pipeline)) " #" (run.counter) ", " (shown.name()) }
                }
            }
        }
    }
}
