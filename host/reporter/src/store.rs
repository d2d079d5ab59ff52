//! The store of waiting notifications: the spool, and the process's memory if the spool does not accept them.

use crate::spool::{
    self, Entry, EntryId, InDx, LockState, Outlook, Rejection, RunKey, RunsRead, SetAside, Spool, SpoolError,
    SpooledRun, Trouble,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

/// The spool with memory behind it.
pub struct Store {
    spool: Result<Spool, SpoolError>,
    memory: Mutex<BTreeMap<RunKey, SpooledRun>>,
    /// `sent` is read and written in two steps; threads of one process share the drain lock and so need this.
    sent: Mutex<()>,
    lock: Mutex<Weak<LockState>>,
}

/// The place where a notification was recorded.
#[derive(Debug)]
pub enum StoredIn {
    /// On disk, durably.
    Disk {
        /// True for a step of a run whose end was recorded before.
        after_the_end: bool,
    },
    /// In memory only, for the reason given: it is gone when this process ends.
    Memory(String),
}

/// An error that kept a batch, or a part of it, from being recorded. Recording it again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is no spool, for this reason.
    #[error("{0}")]
    NoSpool(String),
    /// The spool does not accept it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl BatchError {
    /// Returns true if the spool is full: it accepts the batch once something was delivered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Spool(SpoolError::Full { .. }))
    }
}

impl Store {
    pub fn open(path: &Path, limit: u64) -> Self {
        Self::on(Spool::open(path).map(|spool| {
            spool.with_limits(spool::Limits {
                size: limit,
                ..spool::Limits::default()
            })
        }))
    }

    pub fn on(spool: Result<Spool, SpoolError>) -> Self {
        Self {
            spool,
            memory: Mutex::default(),
            sent: Mutex::default(),
            lock: Mutex::default(),
        }
    }

    /// The spool, or why there is none.
    pub fn spool(&self) -> Result<&Spool, &SpoolError> {
        self.spool.as_ref()
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<RunKey, SpooledRun>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an entry: on disk if possible, else in memory.
    pub fn record(&self, key: RunKey, entry: Entry) -> Result<StoredIn, SpoolError> {
        let error = match &self.spool {
            Ok(spool) => match spool.record(&entry) {
                Ok(recorded) => {
                    return Ok(StoredIn::Disk {
                        after_the_end: recorded.after_the_end,
                    });
                }
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
        Ok(StoredIn::Memory(error))
    }

    /// Records entries on disk, all of them; never in memory.
    pub fn record_all(&self, entries: &[Entry]) -> Result<(), BatchError> {
        match &self.spool {
            Ok(spool) => Ok(spool.record_all(entries)?),
            Err(error) => Err(BatchError::NoSpool(error.to_string())),
        }
    }

    /// A run's entries, from disk and memory.
    pub fn load(&self, key: RunKey) -> Result<SpooledRun, SpoolError> {
        let memory = self.memory();
        let mut run = match &self.spool {
            Ok(spool) => match spool.load(key) {
                // Entries in memory can still be sent, and only now.
                Err(_) if memory.contains_key(&key) => nothing(key),
                loaded => loaded?,
            },
            Err(_) => nothing(key),
        };
        if let Some(more) = memory.get(&key) {
            run.entries.extend(more.entries.iter().cloned());
            run.sent.extend(more.sent.iter().copied());
            run.in_dx.extend(more.in_dx.clone());
        }
        Ok(run)
    }

    /// Every run with an entry.
    pub fn runs(&self) -> Result<BTreeSet<RunKey>, SpoolError> {
        let mut keys: BTreeSet<RunKey> = self.memory().keys().copied().collect();
        if let Ok(spool) = &self.spool {
            keys.extend(spool.runs()?);
        }
        Ok(keys)
    }

    /// The notifications of a run that DX has not accepted, from the names of their files.
    pub fn unsent(&self, key: RunKey) -> Result<BTreeSet<EntryId>, SpoolError> {
        let memory = self.memory();
        let mut ids = match &self.spool {
            Ok(spool) => match spool.unsent(key) {
                Err(_) if memory.contains_key(&key) => BTreeSet::new(),
                unsent => unsent?,
            },
            Err(_) => BTreeSet::new(),
        };
        if let Some(run) = memory.get(&key) {
            ids.extend(
                run.entries
                    .iter()
                    .map(|(id, _)| *id)
                    .filter(|id| !run.sent.contains(id)),
            );
        }
        Ok(ids)
    }

    /// Marks entries as accepted by DX.
    pub fn mark_sent(&self, key: RunKey, ids: &BTreeSet<EntryId>) -> Result<(), SpoolError> {
        self.mark_accepted(key, ids, InDx::default())
    }

    /// Marks entries and states as accepted by DX.
    pub fn mark_accepted(&self, key: RunKey, ids: &BTreeSet<EntryId>, in_dx: InDx) -> Result<(), SpoolError> {
        let _one_at_a_time = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = self.memory().get_mut(&key) {
            run.sent.extend(ids);
            run.in_dx.extend(in_dx.clone());
        }
        self.on_disk(|spool| spool.mark_accepted(key, ids.iter().copied(), in_dx))
    }

    /// Moves entries that DX or the rules refused for good to the rejected ones.
    pub fn reject(&self, key: RunKey, ids: &BTreeSet<EntryId>, reason: &Rejection) -> Result<(), SpoolError> {
        if let Some(run) = self.memory().get_mut(&key) {
            run.entries.retain(|(id, _)| !ids.contains(id));
        }
        self.on_disk(|spool| spool.reject(key, ids.iter().copied(), reason))
    }

    /// Replaces an entry by one with another verdict.
    pub fn rewrite(&self, key: RunKey, id: EntryId, entry: &Entry) -> Result<(), SpoolError> {
        if let Some(run) = self.memory().get_mut(&key)
            && let Some(kept) = run.entries.iter_mut().find(|(kept, _)| *kept == id)
        {
            kept.1 = entry.clone();
            return Ok(());
        }
        self.on_disk(|spool| spool.rewrite(key, id, entry).map(|_| ()))
    }

    /// Notes why a run waits, or removes that note. Only advice: an error is only logged.
    pub fn note(&self, key: RunKey, trouble: Option<&Trouble>) {
        let noted = self.on_disk(|spool| match trouble {
            Some(trouble) => spool.note_trouble(key, trouble),
            None => spool.clear_trouble(key),
        });
        if let Err(error) = noted {
            tracing::debug!(%error, "could not note why a run waits");
        }
    }

    /// Removes runs that were delivered long ago, and opens a full spool again: `now`, or when it is this process's turn, as far as there
    /// is time. Returns the files that do not belong there.
    pub fn tidy(&self, now: bool) -> Result<Vec<SetAside>, SpoolError> {
        let Ok(spool) = &self.spool else { return Ok(Vec::new()) };
        let pruned = if now {
            spool.prune_in_a_flush().map(Some)
        } else {
            spool.prune_in_turn()
        };
        Ok(pruned?.map(|pruned| pruned.aside).unwrap_or_default())
    }

    /// The right to deliver, which one process has at a time; threads of this one share it. None if it was not free by the deadline.
    pub fn lock(&self, deadline: Instant) -> Option<Arc<LockState>> {
        let mut shared = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = shared.upgrade() {
            return Some(lock);
        }
        let lock = match &self.spool {
            Ok(spool) => Arc::new(spool.lock_until(deadline)),
            Err(_) => Arc::new(LockState::Unsupported),
        };
        if matches!(*lock, LockState::Busy) {
            return None;
        }
        *shared = Arc::downgrade(&lock);
        Some(lock)
    }

    /// The right to send a run, which one process or thread has at a time; busy if it was not free by the deadline.
    pub fn lock_run(&self, key: RunKey, deadline: Instant) -> LockState {
        match &self.spool {
            Ok(spool) => spool::wait_until(deadline, || spool.try_lock_run(key)),
            Err(_) => LockState::Unsupported,
        }
    }

    /// Moves a run that is over out of the way, if nothing of it waits. A run that cannot be moved is checked again by a later delivery.
    pub fn retire(&self, key: RunKey) -> bool {
        let Ok(spool) = &self.spool else { return false };
        spool.retire(key).unwrap_or_else(|error| {
            tracing::debug!(%error, "a delivered run stays where it is");
            false
        })
    }

    /// Runs that may wait, with the time of their last change in nanoseconds since 1970, as many as there is time for; and the number of
    /// the rest.
    pub fn runs_by_change(&self, go_on: &dyn Fn() -> bool) -> Result<(Vec<(RunKey, u64)>, usize), SpoolError> {
        let in_memory: Vec<RunKey> = self.memory().keys().copied().collect();
        let (mut runs, left) = match &self.spool {
            Ok(spool) => spool.runs_by_change(usize::from(rand_start()), go_on)?,
            Err(_) => (Vec::new(), 0),
        };
        let known: BTreeSet<RunKey> = runs.iter().map(|(key, _)| *key).collect();
        for key in in_memory.into_iter().filter(|key| !known.contains(key)) {
            runs.push((key, 0));
        }
        Ok((runs, left))
    }

    /// The time of the last record or note of a run: nanoseconds since 1970.
    pub fn changed_at(&self, key: RunKey) -> Option<u64> {
        self.spool.as_ref().ok()?.changed_at(key)
    }

    /// The notes on deliveries of this name.
    pub fn outlook(&self, name: &str) -> Outlook {
        self.spool
            .as_ref()
            .map_or_else(|_| Outlook::default(), |spool| spool.outlook(name))
    }

    /// Writes the notes on deliveries. Only advice: an error is only logged.
    pub fn note_outlook(&self, name: &str, outlook: &Outlook) {
        if let Err(error) = self.on_disk(|spool| spool.note_outlook(name, outlook)) {
            tracing::debug!(%error, "could not write the notes on deliveries");
        }
    }

    /// The runs that deliveries of this name need not read, until they change.
    pub fn runs_read(&self, name: &str) -> RunsRead {
        self.spool
            .as_ref()
            .map_or_else(|_| RunsRead::new(), |spool| spool.runs_read(name))
    }

    /// Notes the runs that deliveries need not read. Only advice.
    pub fn note_runs_read(&self, name: &str, runs: &RunsRead) {
        if let Err(error) = self.on_disk(|spool| spool.note_runs_read(name, runs)) {
            tracing::debug!(%error, "could not note the runs that were read");
        }
    }

    fn on_disk(&self, action: impl FnOnce(&Spool) -> Result<(), SpoolError>) -> Result<(), SpoolError> {
        self.spool.as_ref().map_or(Ok(()), action)
    }
}

/// A random number.
fn rand_start() -> u16 {
    u16::try_from(RandomState::new().build_hasher().finish() & 0xFFFF).unwrap_or_default()
}

/// A run without entries.
fn nothing(key: RunKey) -> SpooledRun {
    SpooledRun {
        key,
        entries: Vec::new(),
        sent: BTreeSet::new(),
        in_dx: InDx::default(),
        trouble: None,
        aside: Vec::new(),
        unread: 0,
    }
}
