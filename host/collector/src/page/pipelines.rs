//! `/pipelines`: every pipeline, by name.

use super::chart::shares;
use super::layout::{Here, PageError, Shell};
use super::parts::{ago, value};
use super::query::{RunsWanted, filled};
use super::state::{PageState, Viewer};
use super::{link, pipeline, words};
use crate::store::{PipelineQuery, PipelineSummary, RunFilter};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::visible;
use serde::Deserialize;

/// Pipelines on a page.
const ON_A_PAGE: usize = 100;

#[derive(Deserialize)]
pub struct Wanted {
    after: Option<String>,
    /// For the one whose name no path can have.
    name: Option<String>,
    days: Option<String>,
}

pub async fn pipelines(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(wanted) = wanted.map_err(|error| PageError::Address(error.body_text()))?;
    if let Some(name) = wanted.name {
        return pipeline::show(&state, access, name, wanted.days.as_deref()).await;
    }
    let after = filled("after", wanted.after)?;
    let query = PipelineQuery {
        access,
        after: after.clone(),
        // One more, to know whether there is one.
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
                    th scope="col" { "How they went" }
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
