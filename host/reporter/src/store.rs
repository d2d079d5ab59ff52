//! Where notifications wait: the spool, and the process's own memory when the spool cannot take them.

use crate::batch::BatchError;
use crate::spool::{
    self, Entry, EntryId, LockState, Rejection, RunKey, SetAside, Spool, SpoolError, SpooledRun, Trouble,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

/// The spool with memory behind it.
pub(crate) struct Store {
    spool: Result<Spool, SpoolError>,
    memory: Mutex<BTreeMap<RunKey, SpooledRun>>,
    /// `sent` is read and written in two steps; threads of one process share the drain lock and so need this.
    sent: Mutex<()>,
    lock: Mutex<Weak<LockState>>,
}

/// Where a notification was put.
#[derive(Debug)]
pub(crate) enum Kept {
    /// On disk, durably.
    Disk,
    /// In memory only, for the reason given: it is gone when this process ends.
    Memory(String),
}

impl Store {
    pub(crate) fn open(path: &Path, limit: u64) -> Self {
        Self {
            spool: Spool::open(path).map(|spool| {
                spool.with_limits(spool::Limits {
                    size: limit,
                    ..spool::Limits::default()
                })
            }),
            memory: Mutex::default(),
            sent: Mutex::default(),
            lock: Mutex::default(),
        }
    }

    /// The spool, or why there is none.
    pub(crate) fn spool(&self) -> Result<&Spool, &SpoolError> {
        self.spool.as_ref()
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<RunKey, SpooledRun>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an entry: on disk if at all possible.
    pub(crate) fn record(&self, key: RunKey, entry: Entry) -> Result<Kept, SpoolError> {
        let error = match &self.spool {
            Ok(spool) => match spool.record(&entry) {
                Ok(_) => return Ok(Kept::Disk),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let id = EntryId::random()?;
        self.memory()
            .entry(key)
            .or_insert_with(|| nothing(key))
            .entries
            .push((id, entry));
        Ok(Kept::Memory(error))
    }

    /// Keeps entries on disk, all of them; never in memory.
    pub(crate) fn record_all(&self, entries: &[Entry]) -> Result<(), BatchError> {
        match &self.spool {
            Ok(spool) => Ok(spool.record_all(entries)?),
            Err(error) => Err(BatchError::NoSpool(error.to_string())),
        }
    }

    /// A run as far as it is known, from disk and memory.
    pub(crate) fn load(&self, key: RunKey) -> Result<SpooledRun, SpoolError> {
        let mut run = match &self.spool {
            Ok(spool) => spool.load(key)?,
            Err(_) => nothing(key),
        };
        if let Some(more) = self.memory().get(&key) {
            run.entries.extend(more.entries.iter().cloned());
            run.sent.extend(more.sent.iter().copied());
        }
        Ok(run)
    }

    /// Every run that something is kept of.
    pub(crate) fn runs(&self) -> Result<BTreeSet<RunKey>, SpoolError> {
        let mut keys: BTreeSet<RunKey> = self.memory().keys().copied().collect();
        if let Ok(spool) = &self.spool {
            keys.extend(spool.runs()?);
        }
        Ok(keys)
    }

    /// The notifications of a run that no acceptance covers, by their names alone.
    pub(crate) fn unsent(&self, key: RunKey) -> Result<BTreeSet<EntryId>, SpoolError> {
        let mut ids = match &self.spool {
            Ok(spool) => spool.unsent(key)?,
            Err(_) => BTreeSet::new(),
        };
        if let Some(run) = self.memory().get(&key) {
            ids.extend(
                run.entries
                    .iter()
                    .map(|(id, _)| *id)
                    .filter(|id| !run.sent.contains(id)),
            );
        }
        Ok(ids)
    }

    /// DX has these.
    pub(crate) fn mark_sent(&self, key: RunKey, ids: &BTreeSet<EntryId>) -> Result<(), SpoolError> {
        let _one_at_a_time = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = self.memory().get_mut(&key) {
            run.sent.extend(ids);
        }
        self.on_disk(|spool| spool.mark_sent(key, ids.iter().copied()))
    }

    /// DX, or the rules, refused these for good.
    pub(crate) fn reject(&self, key: RunKey, ids: &BTreeSet<EntryId>, reason: &Rejection) -> Result<(), SpoolError> {
        if let Some(run) = self.memory().get_mut(&key) {
            run.entries.retain(|(id, _)| !ids.contains(id));
        }
        self.on_disk(|spool| spool.reject(key, ids.iter().copied(), reason))
    }

    /// Puts a verdict where there was none.
    pub(crate) fn rewrite(&self, key: RunKey, id: EntryId, entry: &Entry) -> Result<(), SpoolError> {
        if let Some(run) = self.memory().get_mut(&key)
            && let Some(kept) = run.entries.iter_mut().find(|(kept, _)| *kept == id)
        {
            kept.1 = entry.clone();
            return Ok(());
        }
        self.on_disk(|spool| spool.rewrite(key, id, entry).map(|_| ()))
    }

    /// Notes why a run waits, or that nothing stands in its way any more. Only advice: failing to is no failure.
    pub(crate) fn note(&self, key: RunKey, trouble: Option<&Trouble>) {
        let noted = self.on_disk(|spool| match trouble {
            Some(trouble) => spool.note_trouble(key, trouble),
            None => spool.clear_trouble(key),
        });
        if let Err(error) = noted {
            tracing::debug!(%error, "could not note why a run waits");
        }
    }

    /// Removes what was delivered long ago, and opens a full spool again: `now`, or when it is this process's turn. Gives what it found that does not belong there.
    pub(crate) fn tidy(&self, now: bool) -> Result<Vec<SetAside>, SpoolError> {
        let Ok(spool) = &self.spool else { return Ok(Vec::new()) };
        let pruned = if now {
            spool.prune().map(Some)
        } else {
            spool.prune_in_turn()
        };
        Ok(pruned?.map(|pruned| pruned.aside).unwrap_or_default())
    }

    /// The right to deliver, which one process has at a time; threads of this one share it. None if it was not free by the deadline.
    pub(crate) fn lock(&self, deadline: Instant) -> Result<Option<Arc<LockState>>, SpoolError> {
        let mut shared = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = shared.upgrade() {
            return Ok(Some(lock));
        }
        let lock = match &self.spool {
            Ok(spool) => Arc::new(spool.lock_until(deadline)?),
            Err(_) => Arc::new(LockState::Unsupported),
        };
        if matches!(*lock, LockState::Busy) {
            return Ok(None);
        }
        *shared = Arc::downgrade(&lock);
        Ok(Some(lock))
    }

    fn on_disk(&self, action: impl FnOnce(&Spool) -> Result<(), SpoolError>) -> Result<(), SpoolError> {
        self.spool.as_ref().map_or(Ok(()), action)
    }
}

/// A run of which nothing is known.
fn nothing(key: RunKey) -> SpooledRun {
    SpooledRun {
        key,
        entries: Vec::new(),
        sent: BTreeSet::new(),
        trouble: None,
        aside: Vec::new(),
        unread: 0,
    }
}
