//! The feed's entries of a run, remembered in short, and hashes to compare.

use std::hash::{Hash, Hasher};

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::documents::{
    Counter, Link, Name, PipelineLocator, Relation, StageEntry, StageLocator, StageResult, StageState, Timestamp,
};
use crate::mapping::StageRun;
use crate::write::Links;
use crate::{Href, Resource};

/// The most entries of a run that are remembered. Most runs have fewer stages.
const MAX_ENTRIES: usize = 25;

/// The longest name that is remembered, in bytes: GoCD has no longer ones.
const MAX_NAME: usize = 255;

/// An entry of the feed, with the fields that a run is assembled from.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SeenEntry {
    /// The stage, and the counter of its run.
    stage: String,
    counter: u64,
    /// `Passed`, `Failed` or `Cancelled`.
    result: String,
    /// The end, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<i64>,
    /// The person who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approver: Option<String>,
    /// The stage's database id (the old dialect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

/// Returns entries in short.
pub fn remember(entries: &[&StageEntry]) -> Vec<SeenEntry> {
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

/// Restores entries, without the parts that are for people.
pub fn again(pipeline: &Name, counter: Counter, seen: &[SeenEntry]) -> Vec<StageEntry> {
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

/// FNV-1a of 64 bits (draft-eastlake-fnv), with a last round of mixing (splitmix64's), since sums of hashes are compared too. The standard
/// library's hashers may change with its version, and these hashes are kept in files. A collision hides one change of one run: with 64 bits
/// and a few hundred compared values, that does not happen by chance.
#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let one = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let two = (one ^ (one >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        two ^ (two >> 31)
    }
}

/// Returns the hash of a value.
pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

/// Returns the hash of a completed stage's run: another result or end has another hash.
fn mark(of: Counter, name: &Name, counter: Counter, updated: Option<&Timestamp>, result: StageResult) -> u64 {
    let updated = updated.map(|time| (time.timestamp(), time.timestamp_subsec_nanos()));
    hash(&(of.get(), name.as_str(), counter.get(), updated, result.as_str()))
}

/// Returns the hash of a feed's entry.
pub fn of_entry(entry: &StageEntry) -> u64 {
    let stage = &entry.stage;
    mark(
        stage.pipeline.counter,
        &stage.name,
        stage.counter,
        entry.updated.as_ref(),
        entry.result(),
    )
}

/// Returns the sum of the hashes that a run's stages have in the feed, in any order.
pub fn of_run(of: Counter, stages: &[StageRun]) -> u64 {
    let in_feed = |stage: &&StageRun| stage.state == StageState::Completed && stage.result != StageResult::Unknown;
    stages
        .iter()
        .filter(in_feed)
        .map(|stage| mark(of, &stage.name, stage.counter, stage.updated.as_ref(), stage.result))
        .fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn hashes_stay_the_same_from_version_to_version() {
        // Another value makes every state that was saved before worthless.
        assert_eq!(hash(&1_u8), 12_254_457_192_590_784_505);
        assert_ne!(hash(&("ab", "c")), hash(&("a", "bc")));
    }
}
