//! Runs as a table.

use super::link;
use super::parts::{Shown, ago, duration, person, short_commit, value};
use super::query::RunsWanted;
use super::state::PageState;
use crate::store::{RunFilter, RunSummary};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::foreign::visible;

/// The runs in this order. `caption` says what they are, to those who do not see the page.
pub(super) fn runs(runs: &[RunSummary], caption: &str, state: &PageState, now: DateTime<Utc>) -> Markup {
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
                @for run in runs { (row(run, Shown::of(run, now, state.stale_after), now)) }
            }
        }
    }
}

fn row(run: &RunSummary, shown: Shown, now: DateTime<Utc>) -> Markup {
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
