//! A feed that never ends.

use chrono::DateTime;
use pipefold_gocd::documents::{Counter, Name, PipelineLocator, StageEntry, StageFeed, StageLocator, StageResult};
use pipefold_gocd::write::{self, Links};
use pipefold_gocd::{Resource, ServerUrl};

/// The first counter: as large as the counters of the new dialect may be, and with too many pages to reach the last.
const TOP: u64 = 2_000_000_000;

/// A page of it, with another run in each entry.
pub(super) fn page(target: &str) -> String {
    let Some(Resource::StageFeed {
        dialect,
        pipeline,
        before,
    }) = Resource::parse(target)
    else {
        return String::new();
    };
    let before = before.unwrap_or(TOP);
    let links = Links::new(
        ServerUrl::parse("http://localhost:8153/go").unwrap_or_else(|why| panic!("{why}")),
        dialect,
    );
    let entries: Vec<StageEntry> = (1..=25)
        .filter_map(|place| entry(&links, &pipeline, before.checked_sub(place)?))
        .collect();
    let document = StageFeed {
        title: Some(pipeline.as_str().to_owned()),
        next: Some(links.feed(&pipeline, Some(before.saturating_sub(25)))),
        entries,
        ..StageFeed::default()
    };
    write::feed(&document, dialect)
}

fn entry(links: &Links, pipeline: &Name, number: u64) -> Option<StageEntry> {
    let stage = StageLocator {
        pipeline: PipelineLocator {
            name: pipeline.clone(),
            counter: Counter::new(number)?,
        },
        name: Name::new("endless").ok()?,
        counter: Counter::FIRST,
    };
    // In the order of the cursor, which is that of time in the old feeds.
    let seconds = i64::try_from(number).ok()? / 2;
    Some(StageEntry {
        id: links.entry_id(&stage),
        title: Some(Links::entry_title(&stage, StageResult::Passed)),
        updated: Some(DateTime::from_timestamp(seconds, 0)?.into()),
        approver: None,
        authors: Vec::new(),
        cancelled_by: None,
        links: links.entry_links(&stage, number, number),
        categories: Links::categories(StageResult::Passed),
        stage,
    })
}
