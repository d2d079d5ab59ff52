//! Short names for what was seen before.

use std::hash::{Hash, Hasher};

use crate::documents::{Counter, Name, StageEntry, StageResult, StageState, Timestamp};
use crate::mapping::StageRun;

/// FNV-1a of 64 bits (draft-eastlake-fnv), and a last round of mixing (splitmix64's), for sums of it are compared too. The standard
/// library's own hashers may change with its version, and these are kept in files. A collision hides one change of one run: with 64 bits
/// and a few hundred values compared, that does not happen by chance.
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

/// The short name of a value.
pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

/// The short name of a stage's run as it ended: another result, or another end, is another.
fn mark(of: Counter, name: &Name, counter: Counter, updated: Option<&Timestamp>, result: StageResult) -> u64 {
    let updated = updated.map(|time| (time.timestamp(), time.timestamp_subsec_nanos()));
    hash(&(of.get(), name.as_str(), counter.get(), updated, result.as_str()))
}

/// That of a feed's entry.
pub(super) fn of_entry(entry: &StageEntry) -> u64 {
    let stage = &entry.stage;
    mark(
        stage.pipeline.counter,
        &stage.name,
        stage.counter,
        entry.updated.as_ref(),
        entry.result(),
    )
}

/// The sum of those that a run's stages have in the feed, in any order.
pub(super) fn of_run(of: Counter, stages: &[StageRun]) -> u64 {
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
    fn names_stay_the_same_from_version_to_version() {
        // Another value makes every state that was saved before worthless.
        assert_eq!(hash(&1_u8), 12_254_457_192_590_784_505);
        assert_ne!(hash(&("ab", "c")), hash(&("a", "bc")));
    }
}
