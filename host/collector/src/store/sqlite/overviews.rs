//! States of pipelines that were computed, until a run of the pipeline changes.
//!
//! A page shows all pipelines, of which few have changed since it was last shown. Computing one takes most of a millisecond.

use crate::store::{PipelineNow, Span};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most states that are kept, some 50 MB: all spans of 4,000 pipelines.
const MOST: usize = 20_000;

/// A pipeline, and the length of the columns of a span: the span of the next day replaces that of a day.
type Key = (i64, Duration);

/// A state, its span, and the number of commits before it was read.
type Entry = (Arc<PipelineNow>, Span, u64);

/// The states of pipelines.
#[derive(Debug, Default)]
pub struct Overviews(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The number of commits.
    now: u64,
    /// The commit that last changed a pipeline.
    changed: HashMap<i64, u64>,
    known: HashMap<Key, Entry>,
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
        let (state, of, since) = kept.known.get(&(pipeline, span.bucket))?;
        let changed = kept.changed.get(&pipeline).copied().unwrap_or_default();
        (of == span && changed <= *since).then(|| Arc::clone(state))
    }

    /// Keeps a state that was read in the transaction.
    pub fn keep(&self, pipeline: i64, span: &Span, state: &Arc<PipelineNow>) {
        let mut kept = self.overviews.lock();
        if kept.known.len() >= MOST {
            kept.known.clear();
        }
        let entry = (Arc::clone(state), *span, self.since);
        kept.known.insert((pipeline, span.bucket), entry);
    }
}
