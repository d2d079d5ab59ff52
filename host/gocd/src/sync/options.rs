//! The operator's options of reading a server, and their defaults.

use chrono::{DateTime, TimeDelta, Utc};

use crate::mapping::{Mapping, Pattern};
use crate::{Dialect, ServerUrl};

/// The operator's options of a sync.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configured address of the server, to detect links to other hosts. They are counted, and never followed.
    pub server: ServerUrl,
    /// The mapping to runs of DX.
    pub mapping: Mapping,
    /// Patterns of the pipelines to read; an empty list means all that the user may see.
    pub pipelines: Vec<Pattern>,
    /// The start of the history: runs of which every stage ended earlier are skipped.
    pub since: Option<DateTime<Utc>>,
    /// The dialect; `None` means to detect it.
    pub dialect: Option<Dialect>,
    /// True to request each run's true revisions from the new dialect's servers, by one more request a run.
    pub enrich: bool,
    /// True if a run that was made from other pipelines' runs alone takes repository and commit from theirs.
    pub upstream: bool,
    /// The time between two walks through the whole feed of the new dialect, for re-runs of old runs' stages: they do not come to its top.
    pub full_walk_every: TimeDelta,
}

impl Options {
    /// Returns the defaults: all pipelines, the whole history, a full walk a day.
    #[must_use]
    pub fn new(server: ServerUrl, mapping: Mapping) -> Self {
        Self {
            server,
            mapping,
            pipelines: Vec::new(),
            since: None,
            dialect: None,
            enrich: false,
            upstream: true,
            full_walk_every: TimeDelta::days(1),
        }
    }
}
