//! States and histories of pipelines that were computed, until a run of the pipeline changes.
//!
//! A page shows all pipelines, of which few have changed since it was last shown. Computing a state takes most of a millisecond, and a history
//! some milliseconds.

use crate::store::{Branch, History, PipelineNow, Span};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most states that are kept, some 50 MB: all spans of 4,000 pipelines.
const MOST: usize = 20_000;

/// A pipeline, and the length of the columns of a span: the span of the next day replaces that of a day.
type Key = (i64, Duration);

/// The most histories that are kept, some 3 MB: the pipelines that people look at now. The largest have 600 KB.
const MOST_HISTORIES: usize = 64;

/// A value, its span, and the number of commits before it was read.
#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    span: Span,
    since: u64,
}

impl<T> Entry<T> {
    /// Returns the value if it is of this span, and its pipeline has not changed since.
    fn current(&self, changed: Option<&u64>, span: &Span) -> Option<Arc<T>> {
        let is_current = self.span == *span && changed.is_none_or(|changed| *changed <= self.since);
        is_current.then(|| Arc::clone(&self.value))
    }
}

/// The states and histories of pipelines.
#[derive(Debug, Default)]
pub struct Overviews(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The number of commits.
    now: u64,
    /// The commit that last changed a pipeline.
    changed: HashMap<i64, u64>,
    states: HashMap<Key, Entry<PipelineNow>>,
    histories: HashMap<(Key, Branch), Entry<History>>,
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
    pub fn state(&self, pipeline: i64, span: &Span) -> Option<Arc<PipelineNow>> {
        let kept = self.overviews.lock();
        let entry = kept.states.get(&(pipeline, span.bucket))?;
        entry.current(kept.changed.get(&pipeline), span)
    }

    /// Returns the history of a pipeline, if it has not changed since it was kept.
    pub fn history(&self, pipeline: i64, branch: &Branch, span: &Span) -> Option<Arc<History>> {
        let kept = self.overviews.lock();
        let entry = kept.histories.get(&((pipeline, span.bucket), branch.clone()))?;
        entry.current(kept.changed.get(&pipeline), span)
    }

    /// Keeps a state that was read in the transaction.
    pub fn keep(&self, pipeline: i64, span: &Span, state: &Arc<PipelineNow>) {
        let entry = self.entry(state, span);
        let states = &mut self.overviews.lock().states;
        if states.len() >= MOST {
            states.clear();
        }
        states.insert((pipeline, span.bucket), entry);
    }

    /// Keeps a history that was read in the transaction.
    pub fn keep_history(&self, pipeline: i64, branch: &Branch, span: &Span, history: &Arc<History>) {
        let entry = self.entry(history, span);
        let histories = &mut self.overviews.lock().histories;
        if histories.len() >= MOST_HISTORIES {
            histories.clear();
        }
        histories.insert(((pipeline, span.bucket), branch.clone()), entry);
    }

    fn entry<T>(&self, value: &Arc<T>, span: &Span) -> Entry<T> {
        Entry {
            value: Arc::clone(value),
            span: *span,
            since: self.since,
        }
    }
}
