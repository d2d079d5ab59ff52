//! The list of runs.

use super::layout::{Here, PageError, Shell};
use super::link::{RunsAddress, RunsWanted, STATUSES};
use super::parts::{ShownStatus, ago, duration, moment, person, short_commit, value};
use super::state::{PageState, Viewer};
use super::trend::{FLAKY, flaky_tag};
use super::words::across;
use super::{csv, link, words};
use crate::access::Access;
use crate::store::{Cursor, Field, Names, Page, RunFilter, RunQuery, RunSummary, Total};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The runs of a page: some screens to scroll, and 50 KiB.
const ON_A_PAGE: u16 = 50;

pub(super) async fn runs(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    address: Result<Query<RunsAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let wanted = wanted(address, &state)?;
    let query = RunQuery {
        filter: wanted.filter.clone(),
        access: access.clone(),
        after: wanted.after,
        limit: ON_A_PAGE,
    };
    let page = state.store.runs(query).await?;
    let names = names(&state, access).await?;
    let flaky = state.store.flaky(page.runs.iter().map(|run| run.id).collect()).await?;
    // Older runs change rarely; the newest do. A part of a name may be of any pipeline.
    let is_part = page.parts.contains(&Field::Pipeline);
    let events = wanted.after.is_none().then(|| match &wanted.filter.pipeline {
        Some(pipeline) if !is_part => link::with_query("/events", &[("pipeline", Some(pipeline))]),
        _ => "/events".to_owned(),
    });
    let content = html! {
        div .heading {
            h1 { "Runs" }
            (search(&wanted.filter, &names))
        }
        (tabs(&wanted.filter, &state))
        div #live data-events=[&events] { (list(&page, &flaky, &wanted, &state)) }
    };
    let shell = Shell::new("Runs", Here::Runs).live(events.is_some());
    Ok(Html(shell.page(&content).into_string()))
}

/// The time for which names are offered before they are read again.
const OFFERED_FOR: Duration = Duration::from_secs(10);

/// Returns the names to choose from.
async fn names(state: &PageState, access: Access) -> Result<Arc<Names>, PageError> {
    // Those who see a part of the pipelines are few.
    if !access.sees_everything() {
        return Ok(Arc::new(state.store.names(access).await?));
    }
    let lock = || state.names.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock().clone().filter(|(read, _)| read.elapsed() < OFFERED_FOR);
    if let Some((_, names)) = known {
        return Ok(names);
    }
    let names = Arc::new(state.store.names(access).await?);
    *lock() = Some((Instant::now(), Arc::clone(&names)));
    Ok(names)
}

pub fn wanted(address: Result<Query<RunsAddress>, QueryRejection>, state: &PageState) -> Result<RunsWanted, PageError> {
    let Query(address) = address.map_err(|error| PageError::Address(error.body_text()))?;
    RunsWanted::parse(address, stale_before(state))
}

/// Returns the time before which an unfinished run had its last notification to be stale now.
fn stale_before(state: &PageState) -> DateTime<Utc> {
    let now = state.clock.now();
    TimeDelta::from_std(state.stale_after)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or_default()
}

fn list(page: &Page, flaky: &BTreeSet<u64>, wanted: &RunsWanted, state: &PageState) -> Markup {
    let now = state.clock.now();
    html! {
        @if page.of > 0 { (found(page, wanted)) }
        @if page.runs.is_empty() {
            (nothing(page, wanted))
        } @else {
            (pulse(&page.runs, state, now))
            (table(&page.runs, "Runs, newest first", flaky, state, now))
        }
        @if wanted.after.is_some() || page.next.is_some() {
            nav .pager aria-label="Pages" {
                @if wanted.after.is_some() { a href=(RunsWanted::address(&wanted.filter)) { "Newest" } }
                @if let Some(next) = page.next {
                    a rel="next" href=(RunsWanted::address_of(link::RUNS, &wanted.filter, Some(next))) { "Older runs" }
                }
            }
        }
    }
}

/// Shows how many runs there are, and what they have in common.
fn found(page: &Page, wanted: &RunsWanted) -> Markup {
    let conditions = conditions(page, &wanted.filter);
    let stopped = page
        .next
        .filter(|_| page.runs.len() < usize::from(ON_A_PAGE))
        .and_then(Cursor::at);
    html! {
        p .found {
            a .aside href=(RunsWanted::address_of(csv::PATH, &wanted.filter, None)) title=(format!("The newest {} at most", words::grouped(csv::MOST as u64))) { "CSV" }
            @match page.total {
                _ if conditions.is_empty() => (words::count(page.of, "run")),
                Some(Total { runs, is_all: true }) => { (words::count(runs, "run")) " of " (words::grouped(page.of)) },
                Some(Total { runs, .. }) => { "More than " (words::count(runs, "run")) " of " (words::grouped(page.of)) },
                None => { "Older ones of " (words::count(page.of, "run")) },
            }
            @for (place, (what, how, name)) in conditions.iter().enumerate() {
                (if place == 0 { ": " } else { ", " }) (what) " " (how) " " (value(name))
            }
            @if let Some(at) = stopped { ". The search stopped at " (moment(at)) ": go on with “Older runs”" }
            "."
        }
    }
}

/// Returns the conditions of a filter as texts.
fn conditions(page: &Page, filter: &RunFilter) -> Vec<(&'static str, &'static str, String)> {
    let mut all = Vec::new();
    let name = |field| filter.name(field).map(str::to_owned);
    let fields = [
        (Field::Pipeline, "pipeline"),
        (Field::Branch, "branch"),
        (Field::Person, "person"),
        (Field::Repository, "repository"),
        (Field::Source, "source"),
    ];
    if filter.stale_before.is_some() {
        all.push(("status", "is", "stale".to_owned()));
    }
    all.extend(filter.status.map(|status| ("status", "is", status.to_string())));
    all.extend(filter.refused.then(|| ("DX", "has", "refused".to_owned())));
    for (field, word) in fields {
        let how = if page.parts.contains(&field) { "contains" } else { "is" };
        all.extend(name(field).map(|name| (word, how, name)));
    }
    all.extend(filter.commit.clone().map(|commit| ("commit", "begins with", commit)));
    all.extend(
        filter
            .pr_number
            .map(|number| ("pull request", "is", format!("#{number}"))),
    );
    all.extend(filter.from.map(|from| ("started", "from", link::day(from, false))));
    all.extend(filter.until.map(|until| ("started", "to", link::day(until, true))));
    all.extend(
        filter
            .text
            .clone()
            .map(|text| ("a name, commit or reference", "contains", text)),
    );
    all
}

/// Shows a text instead of the table.
fn nothing(page: &Page, wanted: &RunsWanted) -> Markup {
    html! {
        section .empty {
            @if page.next.is_some() {
                h2 { "Nothing among these runs" }
                p { "Older ones may fit: go on with “Older runs”." }
            } @else if wanted.after.is_some() {
                h2 { "No older runs" }
            } @else if page.of == 0 {
                h2 { "No runs yet" }
                p { "Point a pipeline here, and its runs appear on this page by themselves:" }
                pre { code { "export DX_API_URL=" em { "the address of this server" } "\npipefold exec -- make test" } }
            } @else {
                h2 { "No matching run" }
                p { a href=(link::RUNS) { "Show all runs" } }
            }
        }
    }
}

/// Shows the statuses; the rest of the filter stays.
fn tabs(filter: &RunFilter, state: &PageState) -> Markup {
    let others = RunFilter {
        status: None,
        stale_before: None,
        active_since: None,
        refused: false,
        ..filter.clone()
    };
    let tab = |filter: &RunFilter, is_here: bool, word: &str| {
        html! { a href=(RunsWanted::address(filter)) aria-current=[is_here.then_some("true")] { (word) } }
    };
    let of = |status| RunFilter {
        status: Some(status),
        ..others.clone()
    };
    let stale = RunFilter {
        stale_before: Some(stale_before(state)),
        ..others.clone()
    };
    let refused = RunFilter {
        refused: true,
        ..others.clone()
    };
    html! {
        nav .tabs aria-label="Status" {
            (tab(&others, filter.status.is_none() && filter.stale_before.is_none() && !filter.refused, "All"))
            @for status in STATUSES { (tab(&of(status), filter.status == Some(status), ShownStatus::Is(status).text())) }
            (tab(&stale, filter.stale_before.is_some(), ShownStatus::Stale.text()))
            @if state.forwards || filter.refused { (tab(&refused, filter.refused, "Refused by DX")) }
        }
    }
}

/// Returns true if a name can be chosen: it is short, and looks like itself.
fn may_be_offered(name: &str) -> bool {
    name.len() <= 100 && visible(name) == name
}

fn search(filter: &RunFilter, names: &Names) -> Markup {
    let days = |time: Option<DateTime<Utc>>, is_end| time.map(|time| link::day(time, is_end));
    let number = filter.pr_number.map(|number| number.to_string());
    let more = [
        (
            "repository",
            "Repository",
            "text",
            filter.repository.clone(),
            names.repositories.as_slice(),
        ),
        ("source", "Source", "text", filter.source.clone(), &names.sources),
        ("commit", "Commit", "text", filter.commit.clone(), &[]),
        ("pr", "Pull request", "text", number, &[]),
        ("from", "From (UTC)", "date", days(filter.from, false), &[]),
        ("to", "To (UTC)", "date", days(filter.until, true), &[]),
    ];
    // Half of a day cannot be shown in a field for days.
    let kind = |kind, value: &Option<String>| match value {
        Some(value) if kind == "date" && value.len() > 10 => "text",
        _ => kind,
    };
    let field = |name: &str, label: &str, kind: &str, value: Option<&str>, names: &[String]| {
        let list = format!("names-{name}");
        html! {
            label .spare[name != "text"] .unused[value.is_none()] {
                span { (label) }
                input type=(kind) name=(name) value=(value.unwrap_or_default()) list=[(!names.is_empty()).then_some(&list)]
                    autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="4096";
            }
            @if !names.is_empty() {
                datalist id=(list) { @for name in names.iter().filter(|name| may_be_offered(name)) { option value=(name) {} } }
            }
        }
    };
    let is_status = filter.stale_before.is_some();
    let rest = RunFilter {
        status: filter.status,
        stale_before: filter.stale_before,
        active_since: filter.active_since,
        refused: filter.refused,
        parts: true,
        ..RunFilter::default()
    };
    let with_more = more.iter().any(|(_, _, _, value, _)| value.is_some());
    html! {
        form .search role="search" action=(link::RUNS) method="get" {
            @if let Some(status) = filter.status { input type="hidden" name="status" value=(status.as_str()); }
            @if is_status { input type="hidden" name="status" value="stale"; }
            @if filter.refused { input type="hidden" name="dx" value="refused"; }
            (field("text", "Search", "search", filter.text.as_deref(), &[]))
            (field("pipeline", "Pipeline", "text", filter.pipeline.as_deref(), &names.pipelines))
            (field("branch", "Branch", "text", filter.branch.as_deref(), &names.branches))
            (field("person", "Person", "text", filter.person.as_deref(), &names.people))
            div .buttons {
                button { "Filter" }
                @if *filter != rest { a href=(RunsWanted::address(&rest)) { "Clear" } }
            }
            details .more open[with_more] {
                summary { "More filters" }
                div {
                    @for (name, label, as_kind, text, names) in &more {
                        (field(name, label, kind(as_kind, text), text.as_deref(), names))
                    }
                }
            }
        }
    }
}

/// Shows the runs in this order. `caption` describes them for people who do not see the page.
pub fn table(
    runs: &[RunSummary],
    caption: &str,
    flaky: &BTreeSet<u64>,
    state: &PageState,
    now: DateTime<Utc>,
) -> Markup {
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
                @for run in runs { (row(run, ShownStatus::of(run, now, state.stale_after), flaky.contains(&run.id), now)) }
            }
        }
        @if !flaky.is_empty() { p .note { (flaky_tag()) " " (FLAKY) } }
    }
}

fn row(run: &RunSummary, shown: ShownStatus, is_flaky: bool, now: DateTime<Utc>) -> Markup {
    let record = &run.record;
    let list = |filter| RunsWanted::address(&filter);
    html! {
        tr {
            td .status { (shown.pill()) @if is_flaky { " " (flaky_tag()) } }
            th .run scope="row" {
                a .name href=(link::run(&record.reference_id)) title=(visible(&record.reference_id)) {
                    (value(&run.pipeline)) " " span .counter { "#" (run.counter) }
                }
                span .where {
                    @if let Some(page) = record.source_url.as_deref().filter(|page| link::is_web_address(page)) {
                        a .quiet href=(page) rel=(link::ELSEWHERE) { (value(&record.pipeline_source)) " ↗" }
                    } @else {
                        (value(&record.pipeline_source))
                    }
                    @if let Some(repository) = &record.repository { " · " (value(repository)) }
                }
            }
            td .branch {
                span .line {
                    @if let Some(branch) = &record.head_branch {
                    a .quiet href=(list(RunFilter { branch: Some(branch.clone()), ..RunFilter::default() })) title=(visible(branch)) { (value(branch)) }
                }
                @if let Some(number) = record.pr_number { span .pr { "#" (number) } }
                }
            }
            td .commit {
                @if let Some(commit) = &record.commit_sha {
                    a .quiet href=(list(RunFilter { commit: Some(commit.clone()), ..RunFilter::default() })) title=(visible(commit)) {
                        code { (value(short_commit(commit))) }
                    }
                }
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
