//! The list of pipelines, and their feeds.

use pipefold_gocd::Dialect;
use pipefold_gocd::documents::{Author, ListedPipeline, Pipelines, StageEntry, StageFeed, Timestamp};
use pipefold_gocd::write::{self, Links};

use super::routes::Asked;
use crate::history::{Moment, PipelineHistory, PipelineRun, StageRun};
use fastrand::Rng;

/// Entries of a page, in all dialects.
const PAGE: usize = 25;

/// A stage's run that has ended.
struct Completed<'a> {
    run: &'a PipelineRun,
    stage: &'a StageRun,
    end: Moment,
}

impl Completed<'_> {
    /// The id of the transition that ended it. No other number of the server's is as large.
    fn transition(&self) -> u64 {
        4_000_000 + self.end.event
    }
}

pub(super) fn pipelines(asked: &Asked<'_>, dialect: Dialect) -> String {
    let links = asked.server.links(&asked.base, dialect);
    let all = asked.server.history.pipelines.iter();
    let listed = |pipeline: &PipelineHistory| ListedPipeline {
        name: pipeline.name.clone(),
        feed: links.feed(&pipeline.name, None),
    };
    let list = Pipelines {
        self_link: Some(links.pipelines()),
        pipelines: all.filter(|pipeline| !asked.is_hidden(pipeline)).map(listed).collect(),
        left_out: 0,
    };
    write::pipelines(&list, dialect)
}

fn completed<'a>(asked: &Asked<'_>, pipeline: &'a PipelineHistory) -> Vec<Completed<'a>> {
    let mut all = Vec::new();
    for run in &pipeline.runs {
        for stage in &run.stages {
            if let Some(end) = stage.completed(asked.server.events) {
                all.push(Completed { run, stage, end });
            }
        }
    }
    all
}

/// In the order of completion, the last first; the cursor is a transition's id.
pub(super) fn old(asked: &Asked<'_>, pipeline: &PipelineHistory, before: Option<u64>) -> String {
    let mut all = completed(asked, pipeline);
    all.sort_by_key(|one| std::cmp::Reverse(one.end));
    all.retain(|one| before.is_none_or(|before| one.transition() < before));
    all.truncate(PAGE);
    let next = all.last().map(Completed::transition);
    feed(asked, pipeline, &all, next, Dialect::Old, true)
}

/// By the runs' counters, the largest first; of one run in no order that could be relied on. The cursor is a counter: what the page has no
/// room for of its last run is on no other.
pub(super) fn new(asked: &Asked<'_>, pipeline: &PipelineHistory, before: Option<u64>) -> String {
    let mut all = completed(asked, pipeline);
    all.retain(|one| before.is_none_or(|before| one.run.counter.get() < before));
    let any = |one: &Completed<'_>| Rng::with_seed(one.stage.id ^ (before.unwrap_or(0) << 32)).u64(..);
    all.sort_by_key(|one| (std::cmp::Reverse(one.run.counter), any(one)));
    all.truncate(PAGE);
    let next = all.last().map(|one| one.run.counter.get());
    feed(asked, pipeline, &all, next, Dialect::New, before.is_none())
}

fn feed(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    page: &[Completed<'_>],
    next: Option<u64>,
    dialect: Dialect,
    with_authors: bool,
) -> String {
    let links = asked.server.links(&asked.base, dialect);
    let itself = links.feed(&pipeline.name, None);
    let entries: Vec<StageEntry> = page
        .iter()
        .map(|one| entry(asked, pipeline, one, &links, with_authors))
        .collect();
    let document = StageFeed {
        title: Some(pipeline.name.as_str().to_owned()),
        id: Some(itself.clone()),
        author: Some("Go".to_owned()),
        // Real servers give the present time when there is no entry.
        updated: entries
            .first()
            .and_then(|entry| entry.updated)
            .or_else(|| asked.server.history.time(asked.server.events).map(Timestamp::from)),
        self_link: Some(itself),
        next: next.map(|before| links.feed(&pipeline.name, Some(before))),
        previous: None,
        entries,
    };
    write::feed(&document, dialect)
}

fn entry(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    one: &Completed<'_>,
    links: &Links,
    with_authors: bool,
) -> StageEntry {
    let stage = one.stage;
    let locator = stage.locator(&asked.locator(pipeline, one.run));
    let result = stage.result(asked.server.events);
    let mut authors: Vec<Author> = Vec::new();
    for (material, changes) in pipeline.materials.iter().zip(&one.run.revisions) {
        for author in changes.iter().filter_map(|change| material.changes[*change].author) {
            let author = Author {
                name: author.text.to_owned(),
                email: None,
            };
            if with_authors && !authors.contains(&author) {
                authors.push(author);
            }
        }
    }
    StageEntry {
        id: links.entry_id(&locator),
        title: Some(Links::entry_title(&locator, result)),
        updated: Some(one.end.time.into()),
        approver: stage.is_manual.then(|| stage.approved_by.clone()),
        authors,
        cancelled_by: stage.cancelled_by.clone(),
        links: links.entry_links(&locator, stage.id, one.run.id),
        categories: Links::categories(result),
        stage: locator,
    }
}
