//! The place in a pipeline's history, and its store between rounds.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::seen::SeenEntry;
use crate::Dialect;
use crate::documents::Name;
use crate::mapping::OPEN_FOR;

/// The format version that this code writes, and the latest that it reads.
const FORM: u32 = 1;

/// The longest state, in bytes: ten times the size of one that reaches all its bounds.
pub const MAX_STATE_BYTES: usize = 32 * 1024 * 1024;

/// The most runs that are remembered one by one: those in progress, and of the others the newest. GoCD shows fewer on a dashboard.
const MAX_RUNS: usize = 200;

/// The most notifications of a run that are remembered. A run with more is reported again when it changes: harmless, and rare.
const MAX_TOLD: usize = 256;

/// The number of counters of a span: the state of 20,000 runs has 313 digests, and a re-run of an old one causes at most this many reads.
pub const SPAN: u64 = 64;

/// The most digests of spans that are kept: a million runs.
const MAX_SPANS: usize = 16 * 1024;

/// The place in a pipeline's history. Its size hardly grows with the history: some 60 KiB after 20,000 runs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PipelineState {
    form: u32,
    /// The highest counter seen in the feed; 0 before any.
    #[serde(default)]
    pub(super) newest: u64,
    /// The start of the history that was read, in seconds since 1970; `None` inside means all of it. The outer `None` means that nothing
    /// was read.
    #[serde(default)]
    pub(super) since: Option<Since>,
    /// The old dialect's feed.
    #[serde(default)]
    pub(super) old: OldFeed,
    /// The new dialect's feed.
    #[serde(default)]
    pub(super) new: NewFeed,
    /// Runs by counter.
    #[serde(default)]
    pub(super) runs: BTreeMap<u64, RunState>,
    /// Runs that are to be read again, by counter.
    #[serde(default)]
    pub(super) due: BTreeMap<u64, Due>,
    /// Set if the counters started again: nothing is reported until the operator decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    /// The operator's server id for the restart with which this history started, if it started with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) said: Option<String>,
}

/// A pipeline whose counters started again.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The highest counter when the restart was noticed.
    pub found: u64,
}

/// The start of the history. A struct, as JSON has one `null` for a missing state and for all of the history.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    pub at: Option<i64>,
}

/// The place in the old dialect's feed, which is in the order of completion.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct OldFeed {
    /// The hashes of the newest entries. Everything behind one of them was there before.
    pub marks: Vec<u64>,
    /// The cursor behind the first page: it only grows on the same server.
    pub cursor: Option<u64>,
    /// The database id of the run with the highest counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_id: Option<u64>,
    /// Stretches that were not read to their end, the oldest first.
    pub gaps: Vec<Gap>,
    /// Hashes of entries of the first page whose runs were read since, as long as not all were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<u64>,
}

impl OldFeed {
    /// Returns the read entries of the current page: the first one, or that of a stretch.
    pub fn looked(&mut self, gap: Option<usize>) -> &mut Vec<u64> {
        match gap.and_then(|place| self.gaps.get_mut(place)) {
            Some(gap) => &mut gap.looked,
            None => &mut self.looked,
        }
    }
}

/// A stretch of the old dialect's feed that is to be read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The cursor of its next page.
    pub before: u64,
    /// Hashes of entries that mark its end; an empty list means the end of the feed.
    pub until: Vec<u64>,
    /// Hashes of entries of its next page whose runs were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<u64>,
}

/// The place in the new dialect's feed, which is in the order of the pipeline's counter.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct NewFeed {
    /// Hashes of the entries of the first page.
    pub marks: Vec<u64>,
    /// New runs that were not all read.
    pub news: Option<Stretch>,
    /// The walk to the end of the feed that is in progress.
    pub walk: Option<FullWalk>,
    /// The start of the last complete walk, in seconds since 1970.
    pub walked: Option<i64>,
    /// The sums of the entries' hashes of [`SPAN`] counters each.
    pub spans: BTreeMap<u64, u64>,
    /// The runs of the current span that were read, with the sums of their hashes then.
    pub looked: BTreeMap<u64, u64>,
}

/// Counters below `before` and above `floor`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub before: u64,
    pub floor: u64,
}

/// A walk from the newest run to the oldest.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullWalk {
    /// The start of the walk, in seconds since 1970.
    pub began: i64,
    /// Runs below this counter are to be read; `None` before the first page.
    pub before: Option<u64>,
}

/// The state of a run.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// The sum of its entries' hashes.
    pub seen: u64,
    /// Hashes of the notifications that the sink took.
    pub told: Vec<u64>,
    /// The data to poll it by (the new dialect, where changes may not show in the feed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// True if an attempt was reported without its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// A run that may change.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The time of the last read, in milliseconds since 1970: two rounds may start within a second.
    pub looked: i64,
    /// The time until which it may change, in seconds since 1970. Earlier versions have none for a run that has not passed: 14 days after
    /// the last read.
    pub until: Option<i64>,
    /// The hash of the stages' runs in its document.
    pub links: u64,
    /// The stage in progress, and the counter of its run.
    pub active: Option<(String, u64)>,
}

impl Open {
    /// Returns the time from which it does not change, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        let unsaid = || (self.looked / 1000).saturating_add(OPEN_FOR.num_seconds());
        self.until.unwrap_or_else(unsaid)
    }
}

/// A run that is to be read again.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The time of the next read, in seconds since 1970.
    pub at: i64,
    /// The run's database id (the old dialect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The number of failed reads, and the time of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<(u32, i64)>,
    /// True if it was reported, and only waits for additional data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adds: bool,
    /// The feed's entries of its stages: used if documents cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<SeenEntry>,
}

impl Default for PipelineState {
    fn default() -> Self {
        Self {
            form: FORM,
            newest: 0,
            since: None,
            old: OldFeed::default(),
            new: NewFeed::default(),
            runs: BTreeMap::new(),
            due: BTreeMap::new(),
            held: None,
            said: None,
        }
    }
}

impl PipelineState {
    /// Parses the output of [`PipelineState::to_json`].
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is damaged, too long, or from a later version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateError> {
        from_json(bytes)
    }

    /// Returns the state as JSON.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`] if it cannot be written, which does not happen.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(self).map_err(|error| StateError::Damaged(error.to_string()))
    }

    /// Forgets everything but the start of the history.
    pub(super) fn forget(&mut self) {
        let since = self.since;
        *self = Self {
            since,
            ..Self::default()
        };
    }

    /// Keeps to the bounds.
    pub(super) fn trim(&mut self) {
        for run in self.runs.values_mut() {
            if run.told.len() > MAX_TOLD {
                run.told.clear();
            }
        }
        while self.runs.len() > MAX_RUNS {
            // Without the open runs, a late stage would be found by the next full walk only.
            let closed = self.runs.iter().find(|(_, run)| run.open.is_none() && !run.unfinished);
            let Some(counter) = closed.or_else(|| self.runs.iter().next()).map(|(counter, _)| *counter) else {
                break;
            };
            self.runs.remove(&counter);
        }
        while self.new.spans.len() > MAX_SPANS {
            self.new.spans.pop_first();
        }
    }
}

/// The state of a server.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    form: u32,
    /// True for the old dialect.
    old: bool,
    /// The pipelines that were listed and chosen in the last round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) pipelines: BTreeSet<String>,
    /// Pipelines with unanswered requests: they are read after the others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) slow: BTreeSet<String>,
}

impl ServerState {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            form: FORM,
            old: dialect == Dialect::Old,
            pipelines: BTreeSet::new(),
            slow: BTreeSet::new(),
        }
    }

    /// Returns the state with another dialect.
    pub(super) fn with_dialect(self, dialect: Dialect) -> Self {
        Self {
            old: dialect == Dialect::Old,
            ..self
        }
    }

    /// Returns the dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.old { Dialect::Old } else { Dialect::New }
    }

    /// Parses the output of [`ServerState::to_json`].
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is damaged, too long, or from a later version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateError> {
        from_json(bytes)
    }

    /// Returns the state as JSON.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`] if it cannot be written, which does not happen.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(self).map_err(|error| StateError::Damaged(error.to_string()))
    }
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    /// The part that every version has.
    #[derive(Deserialize)]
    struct Form {
        form: u32,
    }
    if bytes.len() > MAX_STATE_BYTES {
        return Err(StateError::TooLong);
    }
    let damaged = |error: serde_json::Error| StateError::Damaged(error.to_string());
    let Form { form } = serde_json::from_slice(bytes).map_err(damaged)?;
    if form > FORM {
        return Err(StateError::Newer(form));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// The store of a server's states: files, or a test. A store belongs to one server and one [`Mapping`](crate::mapping::Mapping): another
/// server id needs another store.
pub trait StateStore {
    /// Returns the last saved state of a pipeline, by its name in the list of pipelines. `None` if there is none, or if it was damaged and
    /// set aside: the pipeline is then read from its beginning.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the pipeline is left out of this round.
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError>;

    /// Replaces a pipeline's state, whole and durably. Only a saved state shows what the sink took. Where either of the two fails nothing
    /// is saved any more in the round, so that what was taken since the last save is reported again.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError>;

    /// Returns the last saved state of the server.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn load_server(&self) -> Result<Option<ServerState>, StateError>;

    /// Replaces the server's state, whole and durably.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn save_server(&self, state: &ServerState) -> Result<(), StateError>;
}

/// The reason why a state cannot be read or kept.
#[derive(Debug, Error)]
pub enum StateError {
    /// It is not a valid state.
    #[error("it is damaged ({0}); remove it, and the pipeline is read from its beginning")]
    Damaged(String),
    /// A later version of this library wrote it.
    #[error(
        "it has the form {0} of a later version; use that version, or remove it to read the pipeline from its beginning"
    )]
    Newer(u32),
    /// It is longer than [`MAX_STATE_BYTES`](super::MAX_STATE_BYTES).
    #[error("it is longer than any state; remove it, and the pipeline is read from its beginning")]
    TooLong,
    /// The store failed.
    #[error("{0}")]
    Storage(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_runs_are_remembered_longer_than_newer_ones() {
        let mut state = PipelineState::default();
        let open = Open {
            looked: 0,
            until: None,
            links: 0,
            active: None,
        };
        let run = |open| RunState {
            open,
            ..RunState::default()
        };
        state.runs.insert(1, run(Some(open.clone())));
        state.runs.extend((2..1000).map(|counter| (counter, run(None))));
        state.trim();
        assert_eq!(state.runs.len(), MAX_RUNS);
        assert!(state.runs.contains_key(&1) && state.runs.contains_key(&999) && !state.runs.contains_key(&2));
        // Of those that are open the newest.
        state
            .runs
            .extend((1..1000).map(|counter| (counter, run(Some(open.clone())))));
        state.trim();
        assert_eq!((state.runs.len(), state.runs.keys().next()), (MAX_RUNS, Some(&800)));
    }
}
