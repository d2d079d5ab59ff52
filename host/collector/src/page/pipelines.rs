//! `/pipelines`: every pipeline, by name. `/pipelines/{name}`: one over time.

use super::chart::{TimeSpan, durations, pass_rates, shares};
use super::layout::{Here, PageError, Shell};
use super::link::{RunsWanted, filled};
use super::parts::{ago, value};
use super::state::{PageState, Viewer};
use super::{link, runs, words};
use crate::access::Access;
use crate::store::{Bucket, PipelineQuery, PipelineSummary, RunFilter, RunQuery, StatsQuery, StatusCounts};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;
use serde::Deserialize;

/// Pipelines on a page.
const ON_A_PAGE: usize = 100;

#[derive(Deserialize)]
pub struct PipelinesAddress {
    after: Option<String>,
    /// The name of a pipeline that no path can have.
    name: Option<String>,
    days: Option<String>,
}

pub async fn pipelines(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    wanted: Result<Query<PipelinesAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    if let Some(name) = wanted.name {
        return show(&state, access, name, wanted.days.as_deref()).await;
    }
    let after = filled("after", wanted.after)?;
    let query = PipelineQuery {
        access,
        after: after.clone(),
        // One more shows whether there is a next page.
        limit: ON_A_PAGE as u16 + 1,
    };
    let mut pipelines = state.store.pipelines(query).await?;
    let is_more = pipelines.len() > ON_A_PAGE;
    pipelines.truncate(ON_A_PAGE);
    let next = pipelines
        .last()
        .filter(|_| is_more)
        .map(|last| link::with_query("/pipelines", &[("after", Some(&last.name))]));
    let now = state.clock.now();
    let content = html! {
        div .heading { h1 { "Pipelines" } }
        @if pipelines.is_empty() {
            section .empty { h2 { "No pipelines" @if after.is_none() { " yet" } } p { "A pipeline appears here with its first run." } }
        } @else {
            (table(&pipelines, now))
        }
        @if after.is_some() || next.is_some() {
            nav .pager aria-label="Pages" {
                @if after.is_some() { a href="/pipelines" { "First" } }
                @if let Some(next) = next { a rel="next" href=(next) { "More pipelines" } }
            }
        }
    };
    Ok(Html(
        Shell::new("Pipelines", Here::Pipelines).page(&content).into_string(),
    ))
}

fn table(pipelines: &[PipelineSummary], now: DateTime<Utc>) -> Markup {
    html! {
        table .pipelines {
            caption .hidden { "Pipelines by name" }
            thead {
                tr {
                    th scope="col" { "Pipeline" }
                    th .number scope="col" { "Runs" }
                    th scope="col" { "Results" }
                    th .number scope="col" { "Passed" }
                    th .number scope="col" { "Running" }
                    th .number scope="col" { "Last change" }
                }
            }
            tbody {
                @for pipeline in pipelines {
                    @let counts = &pipeline.counts;
                    tr {
                        th .run scope="row" { a .name href=(link::pipeline(&pipeline.name)) title=(visible(&pipeline.name)) { (value(&pipeline.name)) } }
                        td .number { (words::grouped(counts.total())) span .unit { (if counts.total() == 1 { " run" } else { " runs" }) } }
                        td .shares { (shares(counts)) }
                        td .number { @if let Some(rate) = counts.pass_rate() { (words::percent(rate)) } @else { span .none { "–" } } }
                        td .number {
                            @if counts.running > 0 { (running(pipeline)) } @else { span .none { "–" } }
                        }
                        td .number { (ago(pipeline.last_changed, now)) }
                    }
                }
            }
        }
    }
}

fn running(pipeline: &PipelineSummary) -> Markup {
    let filter = RunFilter {
        pipeline: Some(pipeline.name.clone()),
        status: Some(Status::Running),
        ..RunFilter::default()
    };
    html! { a .quiet href=(RunsWanted::address(&filter)) { (words::grouped(pipeline.counts.running)) } }
}

/// The latest runs on a pipeline's page; all are one link away.
const LATEST: u16 = 15;

#[derive(Deserialize)]
pub struct PipelineAddress {
    days: Option<String>,
}

pub async fn by_path(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    path: Result<Path<String>, PathRejection>,
    wanted: Result<Query<PipelineAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Path(name) = path.map_err(|error| PageError::Address(error.body_text()))?;
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    show(&state, access, name, wanted.days.as_deref()).await
}

async fn show(state: &PageState, access: Access, name: String, days: Option<&str>) -> Result<Html<String>, PageError> {
    if !access.may_see(&name) {
        return Err(PageError::NoSuch("pipeline"));
    }
    let span = match days {
        None => TimeSpan::default(),
        Some(days) => TimeSpan::of_days(days)
            .ok_or_else(|| PageError::Address("No such span: use one of those on the page.".into()))?,
    };
    let filter = RunFilter {
        pipeline: Some(name.clone()),
        ..RunFilter::default()
    };
    let latest = RunQuery {
        filter: filter.clone(),
        access,
        after: None,
        limit: LATEST,
    };
    let latest = state.store.runs(latest).await?.runs;
    if latest.is_empty() {
        return Err(PageError::NoSuch("pipeline"));
    }
    let now = state.clock.now();
    let (from, until) = span.around(now);
    let stats = StatsQuery {
        pipeline: name.clone(),
        from,
        until,
        bucket: span.bucket(),
    };
    let buckets = state.store.stats(stats).await?;
    let content = html! {
        nav .path aria-label="Where" { a href="/pipelines" { "Pipelines" } }
        div .heading {
            h1 { (value(&name)) }
            (spans(&name, span))
        }
        @if buckets.is_empty() {
            section .empty { h2 { "No runs in this time" } p { "The latest are below." } }
        } @else {
            (totals(&buckets))
            section { h2 { "Pass rate" } (pass_rates(&buckets, span, now)) }
            section { h2 { "Duration" } (durations(&buckets, span, now)) }
            (values(&buckets, span))
        }
        section {
            h2 { "Latest runs" }
            (runs::table(&latest, "The latest runs of this pipeline", state, now))
            nav .pager aria-label="All runs" { a href=(RunsWanted::address(&filter)) { "All its runs" } }
        }
    };
    Ok(Html(Shell::new(&name, Here::Pipelines).page(&content).into_string()))
}

fn spans(name: &str, current: TimeSpan) -> Markup {
    let base = link::pipeline(name);
    let separator = if base.contains('?') { '&' } else { '?' };
    html! {
        nav .tabs aria-label="Time span" {
            @for span in TimeSpan::ALL {
                a href={ (base) (separator) "days=" (span.days()) } aria-current=[(span == current).then_some("true")] { (span.text()) }
            }
        }
    }
}

fn totals(buckets: &[Bucket]) -> Markup {
    let sum = |of: fn(&StatusCounts) -> u64| buckets.iter().map(|bucket| of(&bucket.counts)).sum::<u64>();
    let counts = StatusCounts {
        unknown: sum(|counts| counts.unknown),
        running: sum(|counts| counts.running),
        success: sum(|counts| counts.success),
        cancelled: sum(|counts| counts.cancelled),
        failure: sum(|counts| counts.failure),
    };
    html! {
        dl .totals {
            div { dt { "Runs" } dd { (words::grouped(counts.total())) } }
            div { dt { "Passed" } dd { @match counts.pass_rate() { Some(rate) => (words::percent(rate)), None => "–" } } }
            div { dt { "Failed" } dd { (words::grouped(counts.failure)) } }
            div { dt { "Running" } dd { (words::grouped(counts.running)) } }
            div .bar { dt .hidden { "By status" } dd { (shares(&counts)) } }
        }
    }
}

/// Returns the charts in numbers.
fn values(buckets: &[Bucket], span: TimeSpan) -> Markup {
    let length = |length: Option<_>| length.map_or_else(|| "–".to_owned(), words::duration);
    html! {
        details .values {
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
                        th .number scope="col" { "90 % within" }
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
