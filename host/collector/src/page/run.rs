//! The page of one run.

use super::forge::Pages;
use super::layout::{Here, PageError, Shell};
use super::link::{RunsAddress, RunsWanted};
use super::parts::{ShownStatus, ago, duration, moment, value};
use super::state::{PageState, Viewer};
use super::timeline::timeline;
use super::trend::siblings;
use super::words::read;
use super::{link, runs, words};
use crate::access::Access;
use crate::store::{KeptJob, Received, RunDetail, RunFilter, RunKey, RunSummary};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::{json, visible};
use serde::Deserialize;

pub async fn by_path(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    path: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, PageError> {
    let Path(reference_id) = path.map_err(|error| PageError::Address(error.body_text()))?;
    show(&state, &access, reference_id).await
}

#[derive(Deserialize)]
pub struct ByQuery {
    reference_id: Option<String>,
}

/// Shows `/runs?reference_id=…`, for references that no path can have; without it, the list of runs.
pub async fn by_query(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    query: Result<Query<ByQuery>, QueryRejection>,
    list: Result<Query<RunsAddress>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(query) = query.map_err(|error| PageError::Address(error.body_text()))?;
    match query.reference_id {
        Some(reference_id) => show(&state, &access, reference_id).await,
        None => runs::runs(State(state), Viewer(access), list).await,
    }
}

async fn show(state: &PageState, access: &Access, reference_id: String) -> Result<Html<String>, PageError> {
    let found = state.store.run(RunKey::Reference(reference_id)).await?;
    let run = found
        .filter(|run| access.may_see(&run.summary.pipeline))
        .ok_or(PageError::NoSuch("run"))?;
    let summary = &run.summary;
    let attempts = state.store.attempts(summary.id).await?;
    let now = state.clock.now();
    let shown = ShownStatus::of(summary, now, state.stale_after);
    // A completed run rarely changes.
    let events = (summary.completion.is_none() || shown.goes_on())
        .then(|| link::with_query("/events", &[("pipeline", Some(&summary.pipeline))]));
    let pages = Pages::of(&summary.record, &state.forges);
    let (previous, next) = &run.beside;
    let is_for_dx = state.forwards || run.forwarding.covered > 0 || run.forwarding.answer.is_some();
    let content = html! {
        nav .path aria-label="Where" {
            span { a href=(link::RUNS) { "Runs" } " / " a href=(link::pipeline(&summary.pipeline)) { (value(&summary.pipeline)) } }
            span .beside {
                @if let Some(reference) = previous { a rel="prev" href=(link::run(reference)) { "← Previous" } }
                @if let Some(reference) = next { a rel="next" href=(link::run(reference)) { "Next →" } }
            }
        }
        div #live data-events=[&events] {
            div .heading {
                h1 { (value(&summary.pipeline)) " " span .counter { "#" (summary.counter) } }
                div .act {
                    (shown.pill())
                    @if let Some(address) = summary.record.source_url.as_deref().filter(|address| link::is_web_address(address)) {
                        a .button href=(address) rel=(link::ELSEWHERE) { "Open in " (value(&summary.record.pipeline_source)) " ↗" }
                    }
                }
            }
            (failed(&run))
            (facts(summary, &pages, shown, now))
            section {
                h2 { "Timeline" }
                (timeline(&run, shown, now))
            }
            (siblings(&attempts, summary, now, state.stale_after))
            @if is_for_dx {
                div .pair {
                    section {
                        h2 { "The record for DX" }
                        pre .record tabindex="0" { code { (pretty(&(state.body)(&summary.record))) } }
                    }
                    section {
                        h2 { "Forwarded" }
                        (forwarded(&run, now))
                    }
                }
            }
            @if !summary.record.attributes.is_empty() {
                section {
                    h2 { "Attributes" }
                    dl .facts {
                        @for attribute in &summary.record.attributes {
                            dt { (value(&attribute.key)) }
                            dd { (value(&attribute.value)) }
                        }
                    }
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

/// Shows the part of the run that DX has, and its last answer.
fn forwarded(run: &RunDetail, now: DateTime<Utc>) -> Markup {
    let (forwarding, notifications) = (&run.forwarding, run.summary.notifications);
    let jobs = run.jobs.iter().filter(|kept| kept.waiting_since.is_some()).count();
    html! {
        p {
            @match forwarding.waiting_since {
                None if notifications > forwarding.covered => {
                    "DX has " (forwarding.covered) " of " (words::count(notifications.into(), "notification")) "; a policy holds the rest."
                },
                Some(since) if notifications == forwarding.covered && jobs > 0 => {
                    "DX has the run; " (words::count(jobs as u64, "job")) " of " (words::grouped(run.jobs.len() as u64)) " " (if jobs == 1 { "waits" } else { "wait" })
                    ", since " (ago(since, now)) "."
                },
                None => { "DX has everything: " (words::count(notifications.into(), "notification")) "." },
                Some(since) => {
                    "DX has " (forwarding.covered) " of " (words::count(notifications.into(), "notification")) "; the rest waits, since "
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

/// The most failed jobs that are named above all others.
const MAX_FAILED: usize = 5;

/// Shows the jobs that failed.
fn failed(run: &RunDetail) -> Markup {
    let is_failed = |kept: &&KeptJob| kept.job.status == Status::Failure;
    let failed: Vec<&KeptJob> = run.jobs_by_start().into_iter().filter(is_failed).collect();
    let took = |kept: &KeptJob| {
        let finished = kept.job.finished_at.as_deref().and_then(read)?;
        Some(words::duration(words::between(kept.began()?, finished)))
    };
    html! {
        @if !failed.is_empty() {
            p .failed {
                strong { "Failed: " }
                @for (place, kept) in failed.iter().take(MAX_FAILED).enumerate() {
                    @if place > 0 { ", " }
                    (value(&kept.job.name))
                    @if let Some(took) = took(kept) { " after " (took) }
                }
                @if failed.len() > MAX_FAILED { " and " (words::grouped((failed.len() - MAX_FAILED) as u64)) " more" }
            }
        }
    }
}

fn facts(run: &RunSummary, pages: &Pages, shown: ShownStatus, now: DateTime<Utc>) -> Markup {
    let record = &run.record;
    html! {
        dl .facts.wide {
            (fact("Source", &filter(&record.pipeline_source, RunFilter { source: Some(record.pipeline_source.clone()), ..RunFilter::default() })))
            // A run belongs to the pipeline that first used its reference; its record may name another since then.
            @if record.pipeline_name != run.pipeline { (fact("Pipeline in the record", &value(&record.pipeline_name))) }
            (fact("Started", &moment(run.started)))
            @if let Some(finished) = run.finished { (fact("Finished", &moment(finished))) }
            (fact("Duration", &duration(run, shown, now)))
            @if let Some(name) = &record.repository {
                (fact("Repository", &site(&value(name), pages.repository.as_deref(), RunFilter { repository: Some(name.clone()), ..RunFilter::default() })))
            }
            @if let Some(branch) = &record.head_branch {
                (fact("Branch", &filter(branch, RunFilter { branch: Some(branch.clone()), ..RunFilter::default() })))
            }
            @if let Some(number) = record.pr_number {
                (fact("Pull request", &site(&html! { "#" (number) }, pages.pull_request.as_deref(), RunFilter { pr_number: Some(number), repository: record.repository.clone(), ..RunFilter::default() })))
            }
            @for (word, name) in [("E-mail", &record.email), ("GitHub user", &record.github_username), ("GitLab user", &record.gitlab_username)] {
                @if let Some(name) = name {
                    (fact(word, &filter(name, RunFilter { person: Some(name.clone()), ..RunFilter::default() })))
                }
            }
            @if let Some(commit) = &record.commit_sha {
                (long("Commit", &site(&html! { code { (value(commit)) } }, pages.commit.as_deref(), RunFilter { commit: Some(commit.clone()), ..RunFilter::default() })))
            }
            (long("Reference", &html! { code { (value(&record.reference_id)) } }))
            @if let Some(address) = record.source_url.as_deref().filter(|address| !link::is_web_address(address)) {
                (long("Page", &value(address)))
            }
        }
    }
}

fn fact(word: &str, content: &Markup) -> Markup {
    html! { div { dt { (word) } dd { (content) } } }
}

/// Shows a fact that needs more room.
fn long(word: &str, content: &Markup) -> Markup {
    html! { div .long { dt { (word) } dd { (content) } } }
}

/// Shows a value that leads to the runs that have it, too.
fn filter(text: &str, filter: RunFilter) -> Markup {
    html! { a .quiet href=(RunsWanted::address(&filter)) { (value(text)) } }
}

/// Shows a value that leads to its page on another site, if that is known, and to the runs that have it.
fn site(content: &Markup, page: Option<&str>, filter: RunFilter) -> Markup {
    let runs = RunsWanted::address(&filter);
    html! {
        @if let Some(page) = page {
            a href=(page) rel=(link::ELSEWHERE) { (content) } " " a .aside href=(runs) { "runs" }
        } @else {
            a .quiet href=(runs) { (content) }
        }
    }
}

/// The most notifications that are shown: a run may have 10,000, and a page of them would be megabytes. The newest show its state.
const MAX_SHOWN: usize = 300;

pub fn received(run: &RunDetail) -> Markup {
    let hidden = run.received.len().saturating_sub(MAX_SHOWN);
    html! {
        table .received {
            caption .hidden { "Notifications in the order in which they came" }
            thead {
                tr {
                    th .number scope="col" { "No." }
                    th scope="col" { "Arrived" }
                    th scope="col" { "Token" }
                    th scope="col" { "Status" }
                    th scope="col" { "As stored" }
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
    // A notification has only texts and numbers, which can always be written as JSON.
    let json = json(&serde_json::to_string_pretty(notification).unwrap_or_default());
    html! {
        tr {
            td .number { (number) }
            td { (moment(received.arrived)) }
            td { @if received.token.is_empty() { span .none { "–" } } @else { (value(&received.token)) } }
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

/// Returns a JSON text with each member of its outermost object on a line of its own, and invisible characters escaped; values and their
/// order stay.
fn pretty(body: &[u8]) -> String {
    let text = json(&String::from_utf8_lossy(body));
    let mut out = String::with_capacity(text.len() + 256);
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for c in text.chars() {
        if in_string {
            out.push(c);
            (in_string, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    out.push('\n');
                }
            }
            _ => {}
        }
        out.push(c);
        match c {
            '{' | ',' if depth == 1 => out.push_str("\n  "),
            ':' if depth == 1 => out.push(' '),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn only_space_between_values_is_added() {
        let body = r#"{"a":"x\",{}:\\","b":1,"c":[1,2],"d":{"e":","}}"#;
        let shown = pretty(body.as_bytes());
        assert_eq!(
            shown,
            "{\n  \"a\": \"x\\\",{}:\\\\\",\n  \"b\": 1,\n  \"c\": [1,2],\n  \"d\": {\"e\":\",\"}\n}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(body));
        assert_eq!(pretty(b"{"), "{\n  ");
    }

    #[test]
    fn invisible_characters_are_escaped_and_mean_the_same() {
        let body = "{\"a\":\"x\u{202e}y\u{2066}\u{200b}\u{e0041}é 日本\u{3164}\"}";
        let shown = pretty(body.as_bytes());
        assert!(
            shown.contains("x\\u202ey\\u2066\\u200b\\udb40\\udc41é 日本\\u3164"),
            "{shown}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(body));
    }
}
