//! The feed of a pipeline's completed runs.

use super::answer;
use super::cursor::before;
use super::instance::Instance;
use super::material::author;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::store::{FeedOrder, FeedQuery, RunSummary};
use axum::response::Response;
use chrono::Utc;
use pipefold_gocd::documents::{Author, Name, StageEntry, StageFeed};
use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, write};

/// How many entries a page has, as in GoCD.
const PAGE: u16 = 25;

/// A page. In the old dialect what changes comes to the top, in the new one the order is that of the pipeline's counters.
pub(super) async fn document(visit: &Visit<'_>, pipeline: &Name, query: &str) -> Result<Response, Refusal> {
    visit.pipeline(pipeline).await?;
    let order = match visit.dialect {
        Dialect::Old => FeedOrder::Completion,
        Dialect::New => FeedOrder::Counter,
    };
    let query = FeedQuery {
        pipeline: pipeline.as_str().to_owned(),
        order,
        before: before(visit.dialect, query).map_err(|_| Refusal::Cursor)?,
        limit: PAGE,
    };
    let runs = visit.app.store.completed(query).await?;
    let links = visit.links();
    let next = runs.last().and_then(|last| match order {
        FeedOrder::Completion => last.completion,
        FeedOrder::Counter => Some(last.counter),
    });
    let entries: Vec<StageEntry> = runs.iter().filter_map(|run| entry(run, &links)).collect();
    let first = entries.first().and_then(|entry| entry.updated);
    let feed = StageFeed {
        title: Some(pipeline.as_str().to_owned()),
        id: Some(links.feed(pipeline, None)),
        author: Some("Go".into()),
        updated: Some(first.unwrap_or_else(|| Utc::now().fixed_offset())),
        self_link: Some(links.feed(pipeline, None)),
        next: next.map(|next| links.feed(pipeline, Some(next))),
        previous: None,
        entries,
    };
    Ok(answer::feed(
        visit.dialect,
        visit.headers,
        write::feed(&feed, visit.dialect),
    ))
}

fn entry(run: &RunSummary, links: &Links) -> Option<StageEntry> {
    let instance = Instance::of(run)?;
    let (stage, result) = (&instance.stage, instance.result());
    let author = author(&run.record).map(|name| Author {
        name,
        email: run.record.email.clone(),
    });
    Some(StageEntry {
        stage: stage.clone(),
        id: links.entry_id(stage),
        title: Some(Links::entry_title(stage, result)),
        updated: Some(instance.updated()),
        approver: None,
        authors: author.into_iter().collect(),
        cancelled_by: None,
        links: links.entry_links(stage, run.stage_id, run.id),
        categories: Links::categories(result),
    })
}
