//! What the feed had of a run that is looked at again: entries in short.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::documents::{Counter, Link, Name, PipelineLocator, Relation, StageEntry, StageLocator, StageResult};
use crate::write::Links;
use crate::{Href, Resource};

/// How many entries of a run are remembered. Most runs have fewer stages.
const MAX_ENTRIES: usize = 25;

/// The longest name that is remembered: GoCD has no longer ones.
const MAX_NAME: usize = 255;

/// An entry of the feed, as far as a run is put together from it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenEntry {
    /// The stage, and which run of it.
    stage: String,
    counter: u64,
    /// `Passed`, `Failed` or `Cancelled`.
    result: String,
    /// When it ended, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<i64>,
    /// Who let it run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approver: Option<String>,
    /// Its database id (dialect C).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

/// Entries in short.
pub(super) fn remember(entries: &[&StageEntry]) -> Vec<SeenEntry> {
    let is_usual = |entry: &&&StageEntry| entry.stage.name.as_str().len() <= MAX_NAME;
    let id = |entry: &StageEntry| match entry.stage_link()?.resource()? {
        Resource::StageById(id) => Some(id),
        _ => None,
    };
    let seen = |entry: &&StageEntry| SeenEntry {
        stage: entry.stage.name.to_string(),
        counter: entry.stage.counter.get(),
        result: entry.result().as_str().to_owned(),
        updated: entry.updated.map(|updated| updated.timestamp()),
        approver: entry.approver.clone().filter(|name| name.len() <= MAX_NAME),
        id: id(entry),
    };
    entries.iter().filter(is_usual).take(MAX_ENTRIES).map(seen).collect()
}

/// Entries as they were, without what is for people.
pub(super) fn again(pipeline: &Name, counter: Counter, seen: &[SeenEntry]) -> Vec<StageEntry> {
    let run = PipelineLocator {
        name: pipeline.clone(),
        counter,
    };
    seen.iter().filter_map(|entry| entry.again(&run)).collect()
}

impl SeenEntry {
    fn again(&self, run: &PipelineLocator) -> Option<StageEntry> {
        let stage = StageLocator {
            pipeline: run.clone(),
            name: Name::new(&self.stage).ok()?,
            counter: Counter::new(self.counter)?,
        };
        let here = |resource: &Resource| Href::new(&format!("/go{}", resource.path()));
        let document = self.id.and_then(|id| here(&Resource::StageById(id)));
        let link = |href| Link {
            relation: Relation::Alternate,
            href,
            media_type: Some("application/vnd.go+xml".into()),
            title: None,
        };
        let updated = self.updated.and_then(|updated| DateTime::from_timestamp(updated, 0));
        Some(StageEntry {
            id: here(&Resource::StagePage(stage.clone()))?,
            stage,
            title: None,
            updated: updated.map(|updated| updated.fixed_offset()),
            approver: self.approver.clone(),
            authors: Vec::new(),
            cancelled_by: None,
            links: document.map(link).into_iter().collect(),
            categories: Links::categories(StageResult::parse(&self.result)),
        })
    }
}
