//! What an operator decides about reading.

use chrono::{DateTime, TimeDelta, Utc};

use crate::mapping::{Mapping, Pattern};
use crate::{Dialect, ServerUrl};

/// What is read, and how far back.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's address as configured, to tell links to other hosts. They are counted, and never followed there.
    pub server: ServerUrl,
    /// How runs become runs of DX.
    pub mapping: Mapping,
    /// Which pipelines, by name; none means all that the user may see.
    pub pipelines: Vec<Pattern>,
    /// How far back: runs of which every stage ended earlier are passed over.
    pub since: Option<DateTime<Utc>>,
    /// The dialect; none means to find out.
    pub dialect: Option<Dialect>,
    /// Whether to ask dialect D's servers for each run's true revisions, by one more request a run.
    pub enrich: bool,
    /// Whether a run that was made from other pipelines' runs alone takes repository and commit from theirs.
    pub upstream: bool,
    /// How often dialect D's feed is read to its end, for stages of old runs that were run again: they do not come to its top.
    pub full_walk_every: TimeDelta,
}

impl Options {
    /// The defaults: all pipelines, the whole history, a full walk a day.
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
