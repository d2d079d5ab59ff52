//! What a run says of itself, in a list of words and values.

use super::link;
use super::parts::{Shown, duration, moment, value};
use super::query::RunsWanted;
use crate::store::{RunFilter, RunSummary};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

pub(super) fn facts(run: &RunSummary, shown: Shown, now: DateTime<Utc>) -> Markup {
    let record = &run.record;
    html! {
        dl .facts.wide {
            (long("Reference", &html! { code { (value(&record.reference_id)) } }))
            (fact("Source", &html! { (value(&record.pipeline_source)) }))
            // A run belongs to the pipeline that first used its reference; what it says since then may be something else.
            @if record.pipeline_name != run.pipeline { (fact("Pipeline in the record", &value(&record.pipeline_name))) }
            (fact("Started", &moment(run.started)))
            @if let Some(finished) = run.finished { (fact("Finished", &moment(finished))) }
            (fact("Duration", &duration(run, shown, now)))
            @if let Some(repository) = &record.repository { (fact("Repository", &value(repository))) }
            @if let Some(branch) = &record.head_branch {
                (fact("Branch", &filter(branch, RunFilter { branch: Some(branch.clone()), ..RunFilter::default() })))
            }
            @if let Some(commit) = &record.commit_sha { (long("Commit", &html! { code { (value(commit)) } })) }
            @if let Some(number) = record.pr_number { (fact("Pull request", &html! { "#" (number) })) }
            @for (word, name) in [("E-mail", &record.email), ("GitHub user", &record.github_username), ("GitLab user", &record.gitlab_username)] {
                @if let Some(name) = name {
                    (fact(word, &filter(name, RunFilter { person: Some(name.clone()), ..RunFilter::default() })))
                }
            }
            @if let Some(address) = &record.source_url { (long("Shown at", &elsewhere(address))) }
        }
    }
}

fn fact(word: &str, content: &Markup) -> Markup {
    html! { div { dt { (word) } dd { (content) } } }
}

/// One that needs more room.
fn long(word: &str, content: &Markup) -> Markup {
    html! { div .long { dt { (word) } dd { (content) } } }
}

/// A value that leads to the runs that have it, too.
fn filter(text: &str, filter: RunFilter) -> Markup {
    html! { a .quiet href=(RunsWanted::address(&filter)) { (value(text)) } }
}

/// The address of another site, as a link where it is one.
fn elsewhere(address: &str) -> Markup {
    html! {
        @if link::is_web_address(address) {
            a href=(address) rel="noopener noreferrer nofollow external" { (value(address)) }
        } @else {
            (value(address))
        }
    }
}
