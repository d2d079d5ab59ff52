//! The runs that were written last: a further notification of one is folded and stored without reading the run.
//!
//! The threads that judge see the state of the last commit. The writer also sees the changes of its own transaction.

use super::weight::text_bytes;
use crate::store::RunSummary;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most runs of a generation. Two generations are kept: the runs that are under way at one time, of all but the largest organisations.
const MOST: usize = 2_048;

/// The most bytes of text of a record that is kept, many times a usual one's: together at most 32 MiB.
const MOST_BYTES: u64 = 8 * 1024;

/// A stored run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub run: RunSummary,
    pub pipeline: i64,
    /// The bytes of the texts of all notifications.
    pub text_bytes: u64,
    /// The number of its jobs.
    pub jobs: u32,
    /// The bytes of their texts.
    pub job_bytes: u64,
    /// True if the record is the fold of all notifications.
    pub is_folded: bool,
}

impl Known {
    /// Returns the id and the number of notifications: they change with every notification.
    pub fn version(&self) -> (u64, u32) {
        (self.run.id, self.run.notifications)
    }
}

/// Runs by their `reference_id`, as they were committed.
#[derive(Default)]
pub struct RecentRuns(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<String, Arc<Known>>,
    old: HashMap<String, Arc<Known>>,
}

impl RecentRuns {
    /// Returns a run as it was committed last, if it is kept.
    pub fn get(&self, reference_id: &str) -> Option<Arc<Known>> {
        let kept = self.lock();
        kept.young
            .get(reference_id)
            .or_else(|| kept.old.get(reference_id))
            .map(Arc::clone)
    }

    /// Forgets all runs.
    pub fn clear(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, reference_id: String, known: Arc<Known>) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(reference_id, known);
    }
}

/// The runs as the writer sees them within a transaction.
pub struct RunsInTransaction {
    committed: Arc<RecentRuns>,
    /// The runs that the transaction changed; `None` for those that have to be read.
    changed: HashMap<String, Option<Arc<Known>>>,
}

impl RunsInTransaction {
    pub fn over(committed: Arc<RecentRuns>) -> Self {
        Self {
            committed,
            changed: HashMap::new(),
        }
    }

    /// Returns a run, if it is kept.
    pub fn get(&self, reference_id: &str) -> Option<Arc<Known>> {
        match self.changed.get(reference_id) {
            Some(changed) => changed.clone(),
            None => self.committed.get(reference_id),
        }
    }

    /// Replaces a run.
    pub fn put(&mut self, reference_id: &str, known: Known) {
        let is_small = text_bytes(&known.run.record.clone().into()) <= MOST_BYTES;
        self.changed
            .insert(reference_id.to_owned(), is_small.then(|| Arc::new(known)));
    }

    /// Forgets a run that was changed or removed without its state.
    pub fn forget(&mut self, reference_id: String) {
        self.changed.insert(reference_id, None);
    }

    /// Forgets all runs, since another program has changed the database.
    pub fn forget_all(&mut self) {
        self.committed.clear();
    }

    /// Shows the changes of a transaction to other threads, after its commit.
    pub fn committed(&mut self) {
        let mut kept = self.committed.lock();
        for (reference_id, known) in self.changed.drain() {
            kept.young.remove(&reference_id);
            kept.old.remove(&reference_id);
            if let Some(known) = known {
                kept.put(reference_id, known);
            }
        }
    }

    /// Drops the changes of a transaction that failed.
    pub fn rolled_back(&mut self) {
        self.changed.clear();
    }
}
