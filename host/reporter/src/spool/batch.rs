//! Records on their way to the disk, one or many: written aside, synced, named, their directories synced.

use super::entry::{Entry, Hook};
use super::error::SpoolError;
use super::files::Kind;
use super::key::{EntryId, RunKey};
use super::layout::{self, RUNS, Role};
use super::open::Spool;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

/// How often records are tried again when the directory of a run was removed meanwhile. Only housekeeping removes it, and only when it
/// has been quiet for a day, so a second time is already a wonder; a hundred take a millisecond.
const ATTEMPTS: usize = 100;

/// Records that are written before the first is synced: each is an open file until then, and a process may have 256 to 1024.
const AT_ONCE: usize = 128;

/// Threads that sync. A disk is waited for, not worked for: eight wait for it in about the time of one, and more gain little.
const THREADS: usize = 8;

/// Below this, threads cost more than they save.
const FEW: usize = 4;

/// Places in a run that no step takes: a run whose steps are too many can still end, and be told again that it did.
const KEPT_FOR_THE_RUN: usize = 100;

/// A record as it will be on disk.
pub(super) struct Encoded {
    pub(super) key: RunKey,
    pub(super) id: EntryId,
    pub(super) hook: Hook,
    pub(super) bytes: Vec<u8>,
}

/// What is known of the records of a run by their names.
#[derive(Default)]
pub(super) struct Known {
    count: usize,
    /// Those that may be of its end.
    pub(super) ends: Vec<EntryId>,
}

impl Spool {
    /// Records all of `entries`, of any number of runs, in their order within each run. When this returns, they survive a crash of the
    /// machine. It is much faster than recording each, and does no housekeeping: whoever records many batches calls [`Spool::prune`] now
    /// and then.
    ///
    /// # Errors
    /// As [`Spool::record`]. Then some may have been recorded and others not; recording all of them again does no harm.
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

    /// Records what is encoded already, the records of each run one after the other. Answers what was there of the last run before.
    pub(super) fn put_all(&self, records: &[Encoded]) -> Result<Known, SpoolError> {
        let mut outcome = self.try_put(records);
        for _ in 1..ATTEMPTS {
            match outcome {
                Err(SpoolError::Vanished { .. }) => keys(records).try_for_each(|key| self.make_run(key))?,
                // A link or a file that someone put there must not keep this run's notifications out.
                Err(SpoolError::NotADirectory { .. }) => {
                    for run in keys(records).map(layout::run) {
                        if self
                            .files
                            .metadata(&run)
                            .is_ok_and(|found| found.kind != Kind::Directory)
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
            // Counted only now: while our file is in the directory, no one can remove it and make another of the same name.
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
        // Whoever names the first record has synced the directory's own name before. So where one is, this can be saved; where none is,
        // the directory may be a moment old and its maker still on the way here.
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
                // Someone emptied the spool by hand.
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

/// Does something to each of `all`, on several threads if there are many; the first failure is the answer.
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
                // Whoever panicked there would have panicked here.
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // A system without a thread to spare.
                Err(_) => act_on(part),
            };
            if outcome.is_ok() {
                outcome = done;
            }
        }
    });
    outcome
}
