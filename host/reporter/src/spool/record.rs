//! Recording: one notification or many, each durable before the caller continues.

use super::entry::{Entry, EntryId, Hook, RunKey};
use super::error::SpoolError;
use super::files::{FileKind, NewFile};
use super::layout::{self, FULL, FULL_FOR_ALL, RUNS, Role};
use super::open::Spool;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{io, thread};

/// The age from which the mark of a full spool is checked again: that takes a while, and each step of a build reads the mark.
const FULL_FOR: Duration = Duration::from_secs(60);

/// Returns true for an entry without which a run's status is still right: a step that did not fail.
fn may_be_left_out(entry: &Entry) -> bool {
    let status = entry.notification.status.as_deref();
    entry.hook == Hook::Step && !matches!(status, Some("failure" | "cancelled"))
}

/// The result of recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The record's id.
    pub id: EntryId,
    /// True for a step of a run whose end was recorded before.
    pub after_the_end: bool,
}

impl Spool {
    /// Records `entry`. When this returns, it survives a crash of the machine, and stays until it is delivered.
    ///
    /// One record in 64 does the housekeeping of [`Spool::prune`] first: it walks the whole spool, which each step of a build should not
    /// have to wait for.
    ///
    /// # Errors
    /// [`SpoolError::Full`], [`SpoolError::TooMany`] and [`SpoolError::TooLarge`] past a limit, [`SpoolError::NoRun`] without a
    /// `reference_id`, else the error of the disk. Then nothing was recorded.
    pub fn record(&self, entry: &Entry) -> Result<Recorded, SpoolError> {
        let id = EntryId::random_for(entry.hook)?;
        if id.is_on_duty() {
            // A later record or delivery repeats what fails here.
            let _ = self.prune_in_time();
        }
        self.put(id, entry)
    }

    /// Records `entry` under `id`.
    pub(super) fn put(&self, id: EntryId, entry: &Entry) -> Result<Recorded, SpoolError> {
        let key = entry.run_key().ok_or(SpoolError::NoRun)?;
        let (hook, bytes) = (entry.hook, entry.encode()?);
        self.has_room(may_be_left_out(entry))?;
        let known = self.put_all(&[Encoded { key, id, hook, bytes }])?;
        let is_end = |id: &EntryId| matches!(self.read_record(key, *id), Ok((entry, _)) if entry.hook == Hook::Finish);
        Ok(Recorded {
            id,
            after_the_end: hook == Hook::Step && known.ends.iter().any(is_end),
        })
    }

    /// Returns [`SpoolError::Full`] if there is no room. Entries that decide a run's status are accepted for longer than those that may be
    /// left out.
    fn has_room(&self, may_be_left_out: bool) -> Result<(), SpoolError> {
        let marker = Path::new(if may_be_left_out { FULL } else { FULL_FOR_ALL });
        let is_full = || match self.files.metadata(marker) {
            Ok(found) => Ok(Some(found.modified)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("check", marker)(e)),
        };
        let Some(since) = is_full()? else { return Ok(()) };
        // Records may have been delivered or removed since.
        let is_old = SystemTime::now().duration_since(since).is_ok_and(|age| age > FULL_FOR);
        if is_old && self.prune_in_time().is_ok() && is_full()?.is_none() {
            return Ok(());
        }
        Err(SpoolError::Full {
            path: self.path().to_owned(),
            limit: self.limits.size,
        })
    }

    /// Returns true if no entry is accepted, or only those that decide a run's status.
    pub(crate) fn is_full(&self) -> bool {
        self.files.metadata(Path::new(FULL)).is_ok()
    }

    /// Replaces the record `id` of run `key` by `entry`, durably, after it was judged again. Returns false if the record is gone.
    ///
    /// # Errors
    /// [`SpoolError::OtherRun`] if `entry` is of another run, [`SpoolError::TooLarge`], else the error of the disk. Then the old record
    /// stays.
    pub fn rewrite(&self, key: RunKey, id: EntryId, entry: &Entry) -> Result<bool, SpoolError> {
        if entry.run_key() != Some(key) {
            return Err(SpoolError::OtherRun);
        }
        let run = layout::run(key);
        let name = layout::record(id);
        match self.files.metadata(&run.join(&name)) {
            Ok(_) => self.write_whole(&run, &name, &entry.encode()?).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("check", &run.join(name))(e)),
        }
    }
}

/// The number of attempts to record while the directory of a run is removed. Only housekeeping removes it, after a day without changes, so
/// a second time is nearly impossible; a hundred take a millisecond.
const ATTEMPTS: usize = 100;

/// Records that are written before the first is synced: each is an open file until then, and a process may have 256 to 1024.
const AT_ONCE: usize = 128;

/// Threads that sync. They only wait for the disk: eight take about the time of one, and more gain little.
const THREADS: usize = 8;

/// The number of files below which threads cost more than they save.
const FEW: usize = 4;

/// Records of a run that are reserved for its start and end: a run with too many steps can still end, also repeatedly.
const KEPT_FOR_THE_RUN: usize = 100;

/// A record as it will be on disk.
struct Encoded {
    pub key: RunKey,
    pub id: EntryId,
    pub hook: Hook,
    pub bytes: Vec<u8>,
}

/// The records of a run, known by their names.
#[derive(Default)]
struct Known {
    count: usize,
    /// The records that may be of its end.
    pub ends: Vec<EntryId>,
}

impl Spool {
    /// Records all of `entries`, of any number of runs, in their order within each run. When this returns, they survive a crash of the
    /// machine. It is much faster than recording each, and does no housekeeping: a caller with many batches calls [`Spool::prune`] now
    /// and then.
    ///
    /// # Errors
    /// As [`Spool::record`]. Then some may have been recorded and others not: recording all of them again does no harm.
    pub fn record_all(&self, entries: &[Entry]) -> Result<(), SpoolError> {
        let mut runs: BTreeMap<RunKey, Vec<Encoded>> = BTreeMap::new();
        for entry in entries {
            let key = entry.run_key().ok_or(SpoolError::NoRun)?;
            let (id, hook, bytes) = (EntryId::random_for(entry.hook)?, entry.hook, entry.encode()?);
            runs.entry(key).or_default().push(Encoded { key, id, hook, bytes });
        }
        if runs.is_empty() {
            return Ok(());
        }
        self.has_room(true)?;
        let records: Vec<Encoded> = runs.into_values().flatten().collect();
        records
            .chunks(AT_ONCE)
            .try_for_each(|records| self.put_all(records).map(drop))
    }

    /// Records encoded entries, those of each run one after the other. Returns the earlier records of the last run.
    fn put_all(&self, records: &[Encoded]) -> Result<Known, SpoolError> {
        let mut outcome = self.try_put(records);
        for _ in 1..ATTEMPTS {
            match outcome {
                Err(SpoolError::Vanished { .. }) => keys(records).try_for_each(|key| self.make_run(key))?,
                // A link or a file in its place must not prevent recording.
                Err(SpoolError::NotADirectory { .. }) => {
                    for run in keys(records).map(layout::run) {
                        if self
                            .files
                            .metadata(&run)
                            .is_ok_and(|found| found.kind != FileKind::Directory)
                        {
                            self.set_aside(&run, "is not a directory".into());
                        }
                    }
                }
                _ => break,
            }
            outcome = self.try_put(records);
        }
        outcome
    }

    fn try_put(&self, records: &[Encoded]) -> Result<Known, SpoolError> {
        let mut written = Vec::with_capacity(records.len());
        for record in records {
            written.push(self.write_aside(&layout::run(record.key), &record.bytes)?);
        }
        side_by_side(&written, |(staged, file)| {
            file.sync().map_err(self.failed("sync", staged.path()))
        })?;
        let mut is_first = false;
        let mut known = Known::default();
        for records in records.chunk_by(|one, next| one.key == next.key) {
            let Some(run) = records.first().map(|record| layout::run(record.key)) else {
                continue;
            };
            // Counted only now: while this file is in the directory, no process can remove the directory and create another of the same
            // name.
            known = self.known_records(&run).map_err(self.failed("list", &run))?;
            let kept = if records.iter().any(|record| record.hook == Hook::Step) {
                KEPT_FOR_THE_RUN.min(self.limits.records_per_run / 10)
            } else {
                0
            };
            if known.count + records.len() > self.limits.records_per_run - kept {
                return Err(SpoolError::TooMany {
                    path: self.path().join(run),
                    limit: self.limits.records_per_run - kept,
                });
            }
            is_first |= known.count == 0;
        }
        // The process that names the first record has synced the directory's own name before. So this is needed only without one: the
        // directory may be a moment old, and its creator not at this point yet.
        if is_first {
            self.sync(Path::new(RUNS))?;
        }
        for ((staged, _), record) in written.into_iter().zip(records) {
            staged.name(&layout::run(record.key).join(layout::record(record.id)))?;
        }
        let runs: Vec<PathBuf> = keys(records).map(layout::run).collect();
        side_by_side(&runs, |run| self.sync(run))?;
        Ok(known)
    }

    fn known_records(&self, run: &Path) -> io::Result<Known> {
        let mut known = Known::default();
        self.files.list(run, &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                known.count += 1;
                known.ends.extend(Some(id).filter(|id| id.may_be_a_finish()));
            }
        })?;
        Ok(known)
    }

    pub(super) fn make_run(&self, key: RunKey) -> Result<(), SpoolError> {
        let run = layout::run(key);
        if self.bring_back(key)? {
            return Ok(());
        }
        match self.make_dir(&run) {
            Err(SpoolError::Vanished { .. }) => {
                // A user removed the spool's directories.
                self.lay_out(|| Ok(()))?;
                self.make_dir(&run)
            }
            done => done,
        }
    }
}

/// The runs of records, each once.
fn keys(records: &[Encoded]) -> impl Iterator<Item = RunKey> {
    let runs = records.chunk_by(|one, next| one.key == next.key);
    runs.filter_map(|records| records.first().map(|record| record.key))
}

/// Calls `act` with each of `all`, on several threads if there are many; returns the first error.
fn side_by_side<T: Sync>(all: &[T], act: impl Fn(&T) -> Result<(), SpoolError> + Sync) -> Result<(), SpoolError> {
    let act_on = |part: &[T]| part.iter().try_for_each(&act);
    if all.len() < FEW {
        return act_on(all);
    }
    let mut outcome = Ok(());
    thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(THREADS));
        let started: Vec<_> = parts
            .map(|part| {
                let thread = thread::Builder::new().name("sync".into());
                (part, thread.spawn_scoped(scope, move || act_on(part)))
            })
            .collect();
        for (part, started) in started {
            let done = match started {
                // A panic of the thread becomes one of the caller.
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No thread could be started.
                Err(_) => act_on(part),
            };
            if outcome.is_ok() {
                outcome = done;
            }
        }
    });
    outcome
}

/// A file with synced bytes that has no final name yet. It is removed if dropped without one.
struct Staged<'a> {
    spool: &'a Spool,
    path: PathBuf,
    named: bool,
}

impl Staged<'_> {
    /// The file's temporary path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file to its final name; a file of that name is replaced in the same step.
    pub fn name(mut self, path: &Path) -> Result<(), SpoolError> {
        self.spool
            .files
            .rename(&self.path, path)
            .map_err(self.spool.failed("write", path))?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.named {
            // If this fails too, the next load of the run after an hour removes it.
            let _ = self.spool.files.remove(&self.path);
        }
    }
}

impl Spool {
    /// Writes `bytes` to a temporary file in `dir` and syncs them.
    fn stage(&self, dir: &Path, bytes: &[u8]) -> Result<Staged<'_>, SpoolError> {
        let (staged, file) = self.write_aside(dir, bytes)?;
        file.sync().map_err(self.failed("sync", &staged.path))?;
        Ok(staged)
    }

    /// Writes `bytes` to a temporary file in `dir`; the caller syncs them.
    fn write_aside(&self, dir: &Path, bytes: &[u8]) -> Result<(Staged<'_>, Box<dyn NewFile>), SpoolError> {
        // A name of its own each time: an import writes the same record again after a crash, or beside another import.
        let path = dir.join(layout::temporary(EntryId::random()?));
        let staged = Staged {
            spool: self,
            path,
            named: false,
        };
        let file = self
            .files
            .write_new(&staged.path, bytes)
            .map_err(self.failed("write", &staged.path))?;
        Ok((staged, file))
    }

    /// Writes `bytes` to `name` in `dir`, whole or not at all, and durably.
    pub(super) fn write_whole(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.stage(dir, bytes)?.name(&dir.join(name))?;
        self.sync(dir)
    }

    /// Writes `bytes` to `name` in `dir`. A crash of the process leaves the old file or the new one; a crash of the machine may leave part
    /// of it, or none.
    pub(super) fn write_unsynced(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.write_aside(dir, bytes)?.0.name(&dir.join(name))
    }

    /// Syncs the names in `dir`, so that they survive a crash.
    pub(super) fn sync(&self, dir: &Path) -> Result<(), SpoolError> {
        self.files.sync_dir(dir).map_err(self.failed("sync", dir))
    }
}
