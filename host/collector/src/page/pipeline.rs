//! `/pipelines/{name}`: how a pipeline did over time.

use super::chart::{durations, pass_rates, shares};
use super::layout::{Here, PageError, Shell};
use super::parts::value;
use super::query::RunsWanted;
use super::span::TimeSpan;
use super::state::{PageState, Viewer};
use super::{link, runs, words};
use crate::access::Access;
use crate::store::{Bucket, RunFilter, RunQuery, StatsQuery, StatusCounts};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

/// Its latest runs; all are one link away.
const LATEST: u16 = 15;

#[derive(Deserialize)]
pub struct Wanted {
    days: Option<String>,
}

pub async fn by_path(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    path: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Path(name) = path.map_err(|error| PageError::Address(error.body_text()))?;
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    show(&state, access, name, wanted.days.as_deref()).await
}

pub async fn show(
    state: &PageState,
    access: Access,
    name: String,
    days: Option<&str>,
) -> Result<Html<String>, PageError> {
    if !access.may_see(&name) {
        return Err(PageError::NoSuch("pipeline"));
    }
    let span = match days {
        None => TimeSpan::default(),
        Some(days) => TimeSpan::of_days(days)
            .ok_or_else(|| PageError::Address("No such span: take one of those on the page.".into()))?,
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
                a href={ (base) (separator) "days=" (span.days()) } aria-current=[(span == current).then_some("true")] { (span.word()) }
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

/// The charts in numbers.
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
