//! `/pipelines/{name}`: one pipeline over time, by branch.

use super::chart::{durations, results, shares};
use super::layout::{Here, PageError, Shell};
use super::link::{RunsWanted, filled};
use super::parts::{ShownStatus, short_commit, value};
use super::span::TimeSpan;
use super::state::{PageState, Viewer};
use super::trend::{attempts, change, changed, failure, flaky_tag, state as state_pill};
use super::{link, runs, words};
use crate::access::Access;
use crate::store::{Branch, Bucket, Figures, History, HistoryQuery, RunFilter, Span, StepHistory, factor};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use std::cmp::Reverse;
use std::time::Duration;

/// The branches that are shown beside the main one.
const BRANCHES: usize = 6;

/// The steps that are shown.
const STEPS: usize = 15;

/// The query of a pipeline's page, unparsed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PipelineAddress {
    pub days: Option<String>,
    pub branch: Option<String>,
    pub all: Option<String>,
    pub steps: Option<String>,
}

/// The order of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StepSort {
    #[default]
    Slowest,
    Failures,
    Slower,
}

impl StepSort {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Slowest, "slowest", "Slowest"),
        (Self::Failures, "failures", "Most failures"),
        (Self::Slower, "slower", "Got slower"),
    ];

    fn sort(self, steps: &mut [&StepHistory]) {
        let slowdown = |step: &&StepHistory| factor(step.before.median, step.figures.median).unwrap_or(0.0);
        match self {
            Self::Slowest => steps.sort_by_key(|step| Reverse(step.figures.median)),
            Self::Failures => steps.sort_by_key(|step| Reverse(step.figures.failures)),
            Self::Slower => steps.sort_by(|a, b| slowdown(b).total_cmp(&slowdown(a))),
        }
    }
}

/// The query of a pipeline's page, parsed.
#[derive(Clone)]
struct Wanted<'a> {
    name: &'a str,
    span: TimeSpan,
    branch: Branch,
    steps: StepSort,
}

impl<'a> Wanted<'a> {
    fn of(name: &'a str, address: PipelineAddress) -> Result<Self, PageError> {
        let branch = match (filled("branch", address.branch)?, filled("all", address.all)?) {
            (Some(branch), _) => Branch::Named(branch),
            (None, Some(_)) => Branch::All,
            (None, None) => Branch::Main,
        };
        let steps = match filled("steps", address.steps)? {
            None => StepSort::default(),
            Some(wanted) => {
                let mut all = StepSort::ALL.into_iter();
                let found = all.find(|(_, word, _)| *word == wanted);
                found
                    .ok_or_else(|| PageError::Address("No such order: use one of those on the page.".into()))?
                    .0
            }
        };
        Ok(Self {
            name,
            span: TimeSpan::wanted(address.days.as_deref())?,
            branch,
            steps,
        })
    }

    fn address(&self) -> String {
        let days = self.span.days().to_string();
        let steps = StepSort::ALL.into_iter().find(|(steps, ..)| *steps == self.steps);
        let branch = match &self.branch {
            Branch::Named(branch) => Some(branch.as_str()),
            Branch::Main | Branch::All => None,
        };
        link::extended(
            link::pipeline(self.name),
            &[
                ("days", (self.span != TimeSpan::default()).then_some(&days)),
                ("branch", branch),
                ("all", (self.branch == Branch::All).then_some("1")),
                (
                    "steps",
                    steps
                        .filter(|_| self.steps != StepSort::default())
                        .map(|(_, word, _)| word),
                ),
            ],
        )
    }
}

pub async fn by_path(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    path: Result<Path<String>, PathRejection>,
    wanted: Result<Query<PipelineAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Path(name) = path.map_err(|error| PageError::Address(error.body_text()))?;
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    show(&state, access, name, wanted).await
}

pub async fn show(
    state: &PageState,
    access: Access,
    name: String,
    address: PipelineAddress,
) -> Result<Html<String>, PageError> {
    if !access.may_see(&name) {
        return Err(PageError::NoSuch("pipeline"));
    }
    let wanted = Wanted::of(&name, address)?;
    let now = state.clock.now();
    let span = wanted.span.at(now);
    let query = HistoryQuery {
        pipeline: name.clone(),
        branch: wanted.branch.clone(),
        span,
    };
    let history = state.store.history(query).await?.ok_or(PageError::NoSuch("pipeline"))?;
    let filter = RunFilter {
        pipeline: Some(name.clone()),
        branch: history.branch.clone(),
        ..RunFilter::default()
    };
    let content = html! {
        nav .path aria-label="Where" { a href="/" { "Pipelines" } }
        div .heading {
            h1 { (value(&name)) }
            nav .tabs aria-label="Time span" {
                @for span in TimeSpan::ALL {
                    a href=(Wanted { span, ..wanted.clone() }.address()) aria-current=[(span == wanted.span).then_some("true")] { (span.text()) }
                }
            }
        }
        div #live data-events=(link::with_query("/events", &[("pipeline", Some(&name))])) {
        p .state {
            (state_pill(&history.now, ShownStatus::of(&history.now.latest, now, state.stale_after))) " "
            @if let Some(branch) = &history.now.branch { span .where-now { "on " (value(branch)) " " } }
            @if let Some(failing) = &history.now.failing { (failure(failing, now)) }
        }
        (branches(&wanted, &history))
        (totals(&history, &span, now))
        @if history.buckets.is_empty() {
            section .empty { h2 { "No runs in this time" } p { "The latest are below." } }
        } @else {
            section { h2 { "Runs" } (results(&history.buckets, wanted.span, now)) }
            section { h2 { "Duration" } (durations(&history.buckets, wanted.span, now)) }
            (values(&history.buckets, wanted.span))
            (steps(&wanted, &history.steps, history.step_runs, history.figures.counts.total()))
        }
        @if !history.flaky.is_empty() {
            section #flaky {
                h2 { "Flaky commits " (flaky_tag()) }
                p .note { "Commits that failed in this time and have also passed in this pipeline, on any branch." }
                table .flaky-commits {
                    caption .hidden { "Commits that failed and passed" }
                    thead { tr { th scope="col" { "Commit" } th scope="col" { "Branch" } th scope="col" { "Runs, oldest first" } } }
                    tbody {
                        @for flaky in &history.flaky {
                            tr {
                                th scope="row" { code title=(flaky.commit) { (value(short_commit(&flaky.commit))) } }
                                td { @if let Some(branch) = flaky.runs.last().and_then(|run| run.record.head_branch.as_ref()) { (value(branch)) } }
                                td { (attempts(&flaky.runs, None, now, state.stale_after)) }
                            }
                        }
                    }
                }
            }
        }
        section {
            h2 { "Latest runs" @if let Some(branch) = &history.branch { " on " (value(branch)) } }
            (runs::table(&history.latest, "The latest runs of this pipeline", &history.flaky_runs, state, now))
            nav .pager aria-label="All runs" { a href=(RunsWanted::address(&filter)) { "All its runs" } }
        }
        }
    };
    let shell = Shell::new(&name, Here::Pipelines).live(true);
    Ok(Html(shell.page(&content).into_string()))
}

/// Shows the branches; the main one is the first.
fn branches(wanted: &Wanted<'_>, history: &History) -> Markup {
    let main = &history.now.branch;
    let tab = |branch: Branch, content: Markup| {
        let is_here = match &branch {
            Branch::All => history.branch.is_none(),
            Branch::Main => history.branch == *main,
            Branch::Named(name) => history.branch.as_ref() == Some(name),
        };
        let address = Wanted {
            branch,
            ..wanted.clone()
        }
        .address();
        html! { a href=(address) aria-current=[is_here.then_some("true")] { (content) } }
    };
    let others = history.branches.iter().map(|(name, _)| name);
    let others = others.filter(|name| Some(*name) != main.as_ref()).take(BRANCHES);
    let is_listed = |name: &String| Some(name) == main.as_ref() || others.clone().any(|other| other == name);
    html! {
        @if let Some(main) = main {
            nav .tabs aria-label="Branch" {
                (tab(Branch::Main, value(main)))
                (tab(Branch::All, html! { "All branches" }))
                @for name in others.clone() { (tab(Branch::Named(name.clone()), value(name))) }
                @if let Some(name) = history.branch.as_ref().filter(|name| !is_listed(name)) { (tab(Branch::Named(name.clone()), value(name))) }
            }
        }
    }
}

fn totals(history: &History, span: &Span, now: DateTime<Utc>) -> Markup {
    let (figures, before) = (&history.figures, &history.before);
    let length = |length: Option<Duration>| length.map_or_else(|| "–".to_owned(), words::duration);
    let days = |from: DateTime<Utc>, until: DateTime<Utc>| words::between(from, until).as_secs_f64() / 86_400.0;
    let a_day = |figures: &Figures, days: f64| figures.counts.failure as f64 / days.max(f64::MIN_POSITIVE);
    let failures = a_day(figures, days(span.from, now.min(span.until)));
    let failures_before = a_day(before, days(span.before(), span.from));
    let change_of_failures = (failures_before > 0.0).then(|| failures / failures_before);
    html! {
        dl .totals {
            div { dt { "Runs" } dd { (words::grouped(figures.counts.total())) } }
            div { dt { "Passed" } dd { @match figures.counts.pass_rate() { Some(rate) => (words::percent(rate)), None => "–" } } }
            div {
                dt { "Failures a day" }
                dd { (format!("{failures:.1}")) (changed(change_of_failures, Some(format!("Before: {failures_before:.1}")))) }
            }
            div { dt { "Median" } dd { (length(figures.median)) (change(before.median, figures.median)) } }
            div { dt { "90\u{202f}% within" } dd { (length(figures.p90)) (change(before.p90, figures.p90)) } }
            div title="The median time from the finish of a first failed run to the finish of the next one that passed." {
                dt { "Time to green" }
                dd { (length(figures.to_green)) (change(before.to_green, figures.to_green)) }
            }
            div { dt { "Flaky commits" } dd { @if history.now.flaky > 0 { a href="#flaky" { (words::grouped(history.now.flaky)) } } @else { "0" } } }
            div .bar { dt .hidden { "By status" } dd { (shares(&figures.counts)) } }
        }
        p .note {
            "Changes are against the span before."
            @if history.is_cut { " There are more runs; only the newest count." }
        }
    }
}

/// Shows steps with their failures and durations.
fn steps(wanted: &Wanted<'_>, steps: &[StepHistory], counted: u64, total: u64) -> Markup {
    let mut steps: Vec<&StepHistory> = steps.iter().filter(|step| step.figures.runs > 0).collect();
    if steps.is_empty() {
        return html! {};
    }
    wanted.steps.sort(&mut steps);
    let length = |length: Option<Duration>| length.map_or_else(|| "–".to_owned(), words::duration);
    html! {
        section #steps {
            div .heading {
                h2 { "Steps" }
                nav .tabs aria-label="Order of steps" {
                    @for (steps, _, text) in StepSort::ALL {
                        a href={ (Wanted { steps, ..wanted.clone() }.address()) "#steps" } aria-current=[(steps == wanted.steps).then_some("true")] { (text) }
                    }
                }
            }
            table .steps {
                caption .hidden { "Steps of the runs of this time" }
                thead {
                    tr {
                        th scope="col" { "Step" }
                        th .number scope="col" { "Executions" }
                        th .number scope="col" { "Failed" }
                        th .number scope="col" { "Median" }
                        th .number scope="col" { "90\u{202f}% within" }
                        th .number scope="col" { "Median before" }
                    }
                }
                tbody {
                    @for StepHistory { name, figures, before } in steps.iter().take(STEPS) {
                        tr {
                            th scope="row" { (value(name)) }
                            td .number { (words::grouped(figures.runs)) }
                            td .number { @if figures.failures > 0 { (words::grouped(figures.failures)) } @else { span .none { "–" } } }
                            td .number { (length(figures.median)) (change(before.median, figures.median)) }
                            td .number { (length(figures.p90)) }
                            td .number { (length(before.median)) }
                        }
                    }
                }
            }
            @if steps.len() > STEPS { p .note { (STEPS) " of " (words::count(steps.len() as u64, "step")) "." } }
            @if counted < total { p .note { "Steps of the newest " (words::count(counted, "run")) " count." } }
        }
    }
}

/// Returns the charts in numbers.
fn values(buckets: &[Bucket], span: TimeSpan) -> Markup {
    let length = |length: Option<_>| length.map_or_else(|| "–".to_owned(), words::duration);
    html! {
        details .values #values {
            summary { "The charts in numbers" }
            table {
                caption .hidden { "Runs over time" }
                thead {
                    tr {
                        th scope="col" { "From" }
                        th .number scope="col" { "Runs" }
                        th .number scope="col" { "Passed" }
                        th .number scope="col" { "Failed" }
                        th .number scope="col" { "Pass rate" }
                        th .number scope="col" { "Median" }
                        th .number scope="col" { "90\u{202f}% within" }
                    }
                }
                tbody {
                    @for bucket in buckets {
                        tr {
                            th scope="row" { time datetime=(words::machine(bucket.from)) { (span.label(bucket.from)) } }
                            td .number { (words::grouped(bucket.counts.total())) }
                            td .number { (words::grouped(bucket.counts.success)) }
                            td .number { (words::grouped(bucket.counts.failure)) }
                            td .number { @match bucket.counts.pass_rate() { Some(rate) => (words::percent(rate)), None => "–" } }
                            td .number { (length(bucket.median)) }
                            td .number { (length(bucket.p90)) }
                        }
                    }
                }
            }
        }
    }
}
