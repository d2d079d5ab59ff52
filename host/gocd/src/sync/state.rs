//! The place in a pipeline's history, and where it is kept between rounds.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::seen::SeenEntry;
use crate::Dialect;
use crate::documents::Name;
use crate::mapping::OPEN_FOR;

/// The form that this version writes, and the latest that it reads.
const FORM: u32 = 1;

/// The longest state, in bytes: ten times what one with all its bounds reached has.
pub const MAX_STATE_BYTES: usize = 32 * 1024 * 1024;

/// How many runs are remembered one by one: those in progress, and of the others the newest. GoCD shows fewer on a dashboard.
const MAX_RUNS: usize = 200;

/// How many notifications of a run are remembered. One with more is reported again when it changes: harmless, and rare.
const MAX_TOLD: usize = 256;

/// How many counters make a span: the state of 20,000 runs has 313 digests, and a re-run of an old one has at most as many looked at.
pub const SPAN: u64 = 64;

/// How many spans' digests are kept: a million runs.
const MAX_SPANS: usize = 16 * 1024;

/// The place in a pipeline's history. Its size hardly grows with the history: some 60 KiB after 20,000 runs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PipelineState {
    form: u32,
    /// The highest counter seen in the feed; 0 before any.
    #[serde(default)]
    pub(super) newest: u64,
    /// How far back the history was read, in seconds since 1970; none is all of it. The outer is none before anything was read.
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
    /// Runs that are to be looked at again, by counter.
    #[serde(default)]
    pub(super) due: BTreeMap<u64, Due>,
    /// The counters began again, and nothing is reported until the operator says how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    /// What the operator had said of the restart with which this history began, if it began with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) said: Option<String>,
}

/// A pipeline whose counters began again.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The highest counter when that was noticed.
    pub found: u64,
}

/// How far back. With a name for what it holds: JSON has one `null` for a missing state and for all of the history.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    pub at: Option<i64>,
}

/// The place in the old dialect's feed, which is in the order of completion.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct OldFeed {
    /// The newest entries that were seen. Where one of them is met again, everything further back was there before.
    pub marks: Vec<u64>,
    /// The cursor behind the first page: it only grows while the server is the same.
    pub cursor: Option<u64>,
    /// The database id of the run with the highest counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_id: Option<u64>,
    /// Stretches that were not read to their end, the oldest first.
    pub gaps: Vec<Gap>,
    /// Entries of the first page whose runs were looked at since they stand there, as long as not all were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<u64>,
}

impl OldFeed {
    /// The entries that were looked at of the page that is being read: the first one, or that of a stretch.
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
    /// Entries that show its end; none of them means the feed's.
    pub until: Vec<u64>,
    /// Entries of its next page whose runs were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<u64>,
}

/// The place in the new dialect's feed, which is in the order of the pipeline's counter.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct NewFeed {
    /// The entries of the first page.
    pub marks: Vec<u64>,
    /// New runs that were not all looked at.
    pub news: Option<Stretch>,
    /// A walk to the end of the feed that is under way.
    pub walk: Option<FullWalk>,
    /// When the last one that got there began, in seconds since 1970.
    pub walked: Option<i64>,
    /// The entries of [`SPAN`] counters each, in sum.
    pub spans: BTreeMap<u64, u64>,
    /// Of the span that is being read, the runs that were looked at, with their entries in sum then.
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
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// What is below this counter is to be read; none before the first page.
    pub before: Option<u64>,
}

/// What is remembered of a run.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// Its entries in the feed, in sum.
    pub seen: u64,
    /// The notifications that were taken.
    pub told: Vec<u64>,
    /// What more may come of it (the new dialect, where that does not show in the feed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// Whether an attempt was told of without its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// A run of which more may come.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// When it was looked at last, in milliseconds since 1970: two rounds may begin within a second.
    pub looked: i64,
    /// Until when, in seconds since 1970. Earlier versions have none for a run that has not passed: 14 days after the last look.
    pub until: Option<i64>,
    /// The runs of stages that its document names.
    pub links: u64,
    /// The stage that is under way, and which run of it.
    pub active: Option<(String, u64)>,
}

impl Open {
    /// When it is taken for closed, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        let unsaid = || (self.looked / 1000).saturating_add(OPEN_FOR.num_seconds());
        self.until.unwrap_or_else(unsaid)
    }
}

/// A run that is to be looked at again.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// From when on, in seconds since 1970.
    pub at: i64,
    /// Its database id (the old dialect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// How often it could not be read, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<(u32, i64)>,
    /// Whether it was told, and only something that adds to it is waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adds: bool,
    /// What the feed had of its stages' runs: what is left if documents cannot be had.
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
    /// Reads what [`PipelineState::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is damaged, too long, or from a later version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateError> {
        from_json(bytes)
    }

    /// As JSON.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`] if it cannot be written, which does not happen.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(self).map_err(|error| StateError::Damaged(error.to_string()))
    }

    /// Forgets everything but that the pipeline is known.
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
            // Without what is open, a late stage would be found by the next full walk only.
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

/// What is known of a server.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    form: u32,
    /// Whether it speaks the old dialect.
    old: bool,
    /// The pipelines that were listed and chosen in the last round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) pipelines: BTreeSet<String>,
    /// Those of which something had no answer: they are read after the others.
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

    /// The same of a server that speaks so now.
    pub(super) fn speaking(self, dialect: Dialect) -> Self {
        Self {
            old: dialect == Dialect::Old,
            ..self
        }
    }

    /// How it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.old { Dialect::Old } else { Dialect::New }
    }

    /// Reads what [`ServerState::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is damaged, too long, or from a later version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateError> {
        from_json(bytes)
    }

    /// As JSON.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`] if it cannot be written, which does not happen.
    pub fn to_json(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(self).map_err(|error| StateError::Damaged(error.to_string()))
    }
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    /// What every form has.
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

/// Keeps the state of a server's pipelines: files, or a test. What it belongs to is one server and one [`Mapping`](crate::mapping::Mapping):
/// with another server id it begins again.
pub trait StateStore {
    /// What was saved last for a pipeline, by the name that the list of pipelines has. None if nothing was, or if it was damaged and set
    /// aside: the pipeline is read from its beginning then.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the pipeline is left out of this round.
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError>;

    /// Replaces a pipeline's state, whole and durably. Only by this is remembered what the sink took. Where either of the two fails nothing
    /// is saved any more in the round, so that what was taken since the last time is reported again.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError>;

    /// What was saved last for the server.
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

/// Why a state cannot be had or kept.
#[derive(Debug, Error)]
pub enum StateError {
    /// It is no state.
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
    /// What keeps it failed.
    #[error("{0}")]
    Storage(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_remembered_longer_than_what_is_newer() {
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
