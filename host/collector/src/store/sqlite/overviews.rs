//! States of pipelines that were computed, until a run of the pipeline changes.
//!
//! A page shows all pipelines, of which few have changed since it was last shown. Computing one takes most of a millisecond.

use crate::store::{PipelineNow, Span};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most states that are kept: several spans of all pipelines of a large organisation, some 50 MB.
const MOST: usize = 20_000;

/// A pipeline and a span.
type Key = (i64, DateTime<Utc>, DateTime<Utc>);

/// The states of pipelines, with the time of each. Times are numbers of commits.
#[derive(Debug, Default)]
pub struct Overviews(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    now: u64,
    changed: HashMap<i64, u64>,
    known: HashMap<Key, (u64, Arc<PipelineNow>)>,
}

impl Overviews {
    /// Outdates the states of pipelines, after the commit of their changes.
    pub fn outdate(&self, pipelines: impl Iterator<Item = i64>) {
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        kept.changed.extend(pipelines.map(|pipeline| (pipeline, now)));
    }

    /// Returns access for a transaction that starts after this call: it sees all commits so far.
    pub fn reading(&self) -> Reading<'_> {
        let since = self.lock().now;
        Reading { overviews: self, since }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access of a transaction that reads.
pub struct Reading<'a> {
    overviews: &'a Overviews,
    since: u64,
}

impl Reading<'_> {
    /// Returns the state of a pipeline, if it has not changed since it was kept.
    pub fn known(&self, pipeline: i64, span: &Span) -> Option<Arc<PipelineNow>> {
        let kept = self.overviews.lock();
        let (at, state) = kept.known.get(&(pipeline, span.from, span.until))?;
        let changed = kept.changed.get(&pipeline).copied().unwrap_or_default();
        (changed <= *at).then(|| Arc::clone(state))
    }

    /// Keeps a state that was read in the transaction.
    pub fn keep(&self, pipeline: i64, span: &Span, state: &Arc<PipelineNow>) {
        let mut kept = self.overviews.lock();
        if kept.known.len() >= MOST {
            kept.known.clear();
        }
        kept.known
            .insert((pipeline, span.from, span.until), (self.since, Arc::clone(state)));
    }
}
