//! `/` and `/pipelines`: every pipeline with the state of its main branch, failing ones first.

use super::layout::{Here, PageError, Shell};
use super::link::filled;
use super::parts::{ShownStatus, ago, duration, value};
use super::span::TimeSpan;
use super::state::{PageState, Viewer};
use super::trend::{change, failure, numbered, spark, state as state_pill};
use super::{link, pipeline, runs, words};
use crate::access::Access;
use crate::store::{OverviewQuery, PipelineNow};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;
use serde::Deserialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// Pipelines on a page.
const ON_A_PAGE: usize = 50;

/// The runs of a small drawing.
const DRAWN: usize = 20;

/// The query of `/pipelines`, unparsed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PipelinesAddress {
    /// The name of a pipeline that no path can have.
    name: Option<String>,
    search: Option<String>,
    sort: Option<String>,
    days: Option<String>,
    branch: Option<String>,
    all: Option<String>,
    steps: Option<String>,
    page: Option<String>,
}

/// The order of pipelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Failing,
    Failures,
    Slowest,
    Slower,
    Runs,
    Name,
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::Failing,
        Self::Failures,
        Self::Slowest,
        Self::Slower,
        Self::Runs,
        Self::Name,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Failures => "failures",
            Self::Slowest => "slowest",
            Self::Slower => "slower",
            Self::Runs => "runs",
            Self::Name => "name",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Failing => "Failing first",
            Self::Failures => "Most failures",
            Self::Slowest => "Slowest",
            Self::Slower => "Got slower",
            Self::Runs => "Most run",
            Self::Name => "Name",
        }
    }

    /// Returns the order that an address names.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.word() == word)
    }

    /// Sorts pipelines, which are by name.
    pub fn sort(self, pipelines: &mut [Arc<PipelineNow>]) {
        let by =
            |key: fn(&PipelineNow) -> f64| move |a: &Arc<PipelineNow>, b: &Arc<PipelineNow>| key(b).total_cmp(&key(a));
        match self {
            // What broke last is looked at first; below are those that run now.
            Self::Failing => pipelines.sort_by_key(|pipeline| match &pipeline.failing {
                Some(failing) => (0, Reverse(failing.first.started)),
                None => (1, Reverse(pipeline.latest.started)),
            }),
            Self::Failures => pipelines.sort_by_key(|pipeline| Reverse(pipeline.figures.counts.failure)),
            Self::Slowest => pipelines.sort_by_key(|pipeline| Reverse(pipeline.figures.median)),
            Self::Slower => pipelines.sort_by(by(|pipeline| pipeline.slowdown().unwrap_or(0.0))),
            Self::Runs => pipelines.sort_by_key(|pipeline| Reverse(pipeline.figures.counts.total())),
            Self::Name => {}
        }
    }
}

/// The query of `/pipelines`, parsed.
#[derive(Clone, Default)]
struct Wanted {
    search: Option<String>,
    sort: Sort,
    span: TimeSpan,
    page: usize,
}

impl Wanted {
    fn of(address: PipelinesAddress) -> Result<Self, PageError> {
        let sort = match filled("sort", address.sort)? {
            None => Sort::default(),
            Some(word) => Sort::of(&word)
                .ok_or_else(|| PageError::Address("No such order: use one of those on the page.".into()))?,
        };
        let page = match filled("page", address.page)? {
            None => 1,
            Some(number) => number
                .parse()
                .ok()
                .filter(|number| (1..=1_000_000).contains(number))
                .ok_or_else(|| PageError::Address("There is no such page: start with the first.".into()))?,
        };
        Ok(Self {
            search: filled("search", address.search)?,
            sort,
            span: TimeSpan::wanted(address.days.as_deref())?,
            page,
        })
    }

    fn address(&self) -> String {
        let (days, page) = (self.span.days().to_string(), self.page.to_string());
        link::with_query(
            "/pipelines",
            &[
                ("search", self.search.as_deref()),
                ("sort", (self.sort != Sort::default()).then(|| self.sort.word())),
                ("days", (self.span != TimeSpan::default()).then_some(&days)),
                ("page", (self.page > 1).then_some(&page)),
            ],
        )
    }
}

/// Shows `/`. With a query it is the list of runs, which was here once: bookmarks still lead there.
pub async fn start(
    state: State<PageState>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
    runs: Result<Query<link::RunsAddress>, QueryRejection>,
) -> Result<Response, PageError> {
    if query.is_some_and(|query| !query.is_empty()) {
        return Ok(runs::runs(state, viewer, runs).await?.into_response());
    }
    Ok(list(&state, viewer.0, Wanted::of(PipelinesAddress::default())?)
        .await?
        .into_response())
}

pub async fn pipelines(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    wanted: Result<Query<PipelinesAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(mut wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    if let Some(name) = wanted.name.take() {
        let PipelinesAddress {
            days,
            branch,
            all,
            steps,
            ..
        } = wanted;
        let wanted = pipeline::PipelineAddress {
            days,
            branch,
            all,
            steps,
        };
        return pipeline::show(&state, access, name, wanted).await;
    }
    list(&state, access, Wanted::of(wanted)?).await
}

async fn list(state: &PageState, access: Access, wanted: Wanted) -> Result<Html<String>, PageError> {
    let now = state.clock.now();
    let query = OverviewQuery {
        access,
        span: wanted.span.at(now),
    };
    let mut all = state.store.overview(query).await?;
    let (total, failing) = (
        all.len(),
        all.iter().filter(|pipeline| pipeline.failing.is_some()).count(),
    );
    if let Some(search) = wanted.search.as_ref().map(|search| search.to_lowercase()) {
        all.retain(|pipeline| pipeline.name.to_lowercase().contains(&search));
    }
    wanted.sort.sort(&mut all);
    let first = ON_A_PAGE * (wanted.page - 1);
    let shown = &all[first.min(all.len())..(first + ON_A_PAGE).min(all.len())];
    let content = html! {
        div .heading {
            h1 { "Pipelines" }
            (search(&wanted))
        }
        div .choices {
            nav .tabs aria-label="Order" {
                @for sort in Sort::ALL {
                    a href=(Wanted { sort, page: 1, ..wanted.clone() }.address()) aria-current=[(sort == wanted.sort).then_some("true")] { (sort.text()) }
                }
            }
            nav .tabs aria-label="Time span" {
                @for span in TimeSpan::ALL {
                    a href=(Wanted { span, page: 1, ..wanted.clone() }.address()) aria-current=[(span == wanted.span).then_some("true")] { (span.text()) }
                }
            }
        }
        div #live data-events="/events" {
            @if total == 0 {
                section .empty {
                    h2 { "No pipelines yet" }
                    p { "Point a pipeline here, and it appears on this page by itself:" }
                    pre { code { "export DX_API_URL=" em { "the address of this server" } "\npipefold exec -- make test" } }
                }
            } @else {
                p .note.summary {
                    @if wanted.search.is_some() { (words::grouped(all.len() as u64)) " of " }
                    (words::count(total as u64, "pipeline")) ", "
                    @if failing > 0 { b .s-failure { (words::grouped(failing as u64)) " failing" } } @else { "none failing" }
                    " on the main branch. Numbers are of the main branch, " (wanted.span.text()) "."
                }
                @if shown.is_empty() {
                    section .empty { h2 { "No matching pipeline" } p { a href="/pipelines" { "Show all pipelines" } } }
                } @else {
                    (table(shown, &wanted, state, now))
                }
            }
            (pager(&wanted, all.len()))
        }
    };
    Ok(Html(
        Shell::new("Pipelines", Here::Pipelines)
            .live(true)
            .page(&content)
            .into_string(),
    ))
}

fn pager(wanted: &Wanted, total: usize) -> Markup {
    let to = |page| Wanted { page, ..wanted.clone() }.address();
    html! {
        @if total > ON_A_PAGE {
            nav .pager aria-label="Pages" {
                @if wanted.page > 1 { a rel="prev" href=(to(wanted.page - 1)) { "Back" } }
                @if wanted.page * ON_A_PAGE < total { a rel="next" href=(to(wanted.page + 1)) { "More pipelines" } }
            }
        }
    }
}

fn search(wanted: &Wanted) -> Markup {
    html! {
        form .search.small role="search" action="/pipelines" method="get" {
            @if wanted.sort != Sort::default() { input type="hidden" name="sort" value=(wanted.sort.word()); }
            @if wanted.span != TimeSpan::default() { input type="hidden" name="days" value=(wanted.span.days()); }
            label {
                span { "Name contains" }
                input type="search" name="search" value=(wanted.search.as_deref().unwrap_or_default()) autocomplete="off" autocapitalize="none"
                    spellcheck="false" maxlength="4096";
            }
            div .buttons {
                button { "Find" }
                @if wanted.search.is_some() { a href=(Wanted { search: None, page: 1, ..wanted.clone() }.address()) { "Clear" } }
            }
        }
    }
}

fn table(pipelines: &[Arc<PipelineNow>], wanted: &Wanted, state: &PageState, now: DateTime<Utc>) -> Markup {
    let days = wanted.span.days().to_string();
    let days = (wanted.span != TimeSpan::default()).then_some(days.as_str());
    html! {
        table .now {
            caption .hidden { "Pipelines with the state of their main branch" }
            thead {
                tr {
                    th scope="col" { "State" }
                    th scope="col" { "Pipeline" }
                    th scope="col" { "Latest runs" }
                    th .number scope="col" { "Runs" }
                    th .number scope="col" { "Failed" }
                    th .number scope="col" { "Median" }
                    th .number scope="col" { "Last run" }
                }
            }
            tbody { @for pipeline in pipelines { (row(pipeline, days, state, now)) } }
        }
    }
}

fn row(pipeline: &PipelineNow, days: Option<&str>, state: &PageState, now: DateTime<Utc>) -> Markup {
    let address = link::extended(link::pipeline(&pipeline.name), &[("days", days)]);
    let latest = &pipeline.latest;
    let shown = ShownStatus::of(latest, now, state.stale_after);
    let (figures, counts) = (&pipeline.figures, &pipeline.figures.counts);
    html! {
        tr {
            td .status { (state_pill(pipeline, shown)) }
            th .run scope="row" {
                a .name href=(address) title=(visible(&pipeline.name)) { (value(&pipeline.name)) }
                span .where {
                    @if let Some(branch) = &pipeline.branch { (value(branch)) } @else { "all runs" }
                    @if pipeline.flaky > 0 {
                        " · " a .quiet href={ (address) "#flaky" } { (words::count(pipeline.flaky, "flaky commit")) }
                    }
                }
                @if let Some(failing) = &pipeline.failing { (failure(failing, now)) }
            }
            td .spark { (spark(pipeline, DRAWN)) }
            td .number.count { (words::grouped(counts.total())) span .unit { (if counts.total() == 1 { " run" } else { " runs" }) } }
            td .number.fails {
                @if counts.failure > 0 { (words::grouped(counts.failure)) span .unit { " failed" } } @else { span .none { "–" } }
            }
            td .number.took {
                @if let Some(median) = figures.median { span .unit { "median " } (words::duration(median)) (change(pipeline.before.median, figures.median)) }
                @else { span .none { "–" } }
            }
            td .number.age {
                @if shown.goes_on() { span class={ "s-" (shown.name()) } { (shown.text()) } " " (numbered(latest)) br; span .none { (duration(latest, shown, now)) } }
                @else { (numbered(latest)) " " (ago(latest.started, now)) }
                @if shown == ShownStatus::Stale && pipeline.state.is_some() { " " (shown.pill()) }
                @if matches!(shown, ShownStatus::Is(Status::Cancelled)) { " " span .tag { "cancelled" } }
            }
        }
    }
}
