//! Accepting a notification.

use super::entry::Entry;
use super::error::SpoolError;
use super::key::{EntryId, RunKey};
use super::layout::{self, FULL, RUNS, Role};
use super::open::Spool;
use std::io;
use std::path::Path;

/// How often a record is tried again when the directory of its run was removed meanwhile. Only housekeeping removes it, and only when it
/// has been quiet for a day, so a second time is already a wonder; a hundred take a millisecond.
const ATTEMPTS: usize = 100;

impl Spool {
    /// Records `entry`. When this returns, it survives a crash of the machine, and stays until it is delivered.
    ///
    /// One record in 64 does the housekeeping of [`Spool::prune`] first: it walks the whole spool, which each step of a build should not
    /// have to wait for.
    ///
    /// # Errors
    /// [`SpoolError::Full`], [`SpoolError::TooMany`] and [`SpoolError::TooLarge`] past a limit, [`SpoolError::NoRun`] without a
    /// `reference_id`, else what the disk said. Then nothing was recorded.
    pub fn record(&self, entry: &Entry) -> Result<EntryId, SpoolError> {
        let id = EntryId::random()?;
        if id.is_on_duty() {
            // What it cannot do now, the next one or a drain will.
            let _ = self.prune();
        }
        self.put(id, entry)?;
        Ok(id)
    }

    /// Records `entry` under `id`.
    pub(super) fn put(&self, id: EntryId, entry: &Entry) -> Result<(), SpoolError> {
        let key = entry.run_key().ok_or(SpoolError::NoRun)?;
        let bytes = entry.encode()?;
        match self.files.metadata(Path::new(FULL)) {
            Ok(_) => {
                return Err(SpoolError::Full {
                    path: self.path().to_owned(),
                    limit: self.limits.size,
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(self.failed("look at", Path::new(FULL))(e)),
        }
        let mut outcome = self.try_put(key, id, &bytes);
        for _ in 1..ATTEMPTS {
            match outcome {
                Err(SpoolError::Vanished { .. }) => self.make_run(key)?,
                // A link or a file that someone put there must not keep this run's notifications out.
                Err(SpoolError::NotADirectory { .. }) => {
                    self.set_aside(&layout::run(key), "is not a directory".into());
                }
                _ => break,
            }
            outcome = self.try_put(key, id, &bytes);
        }
        outcome
    }

    fn try_put(&self, key: RunKey, id: EntryId, bytes: &[u8]) -> Result<(), SpoolError> {
        let run = layout::run(key);
        let staged = self.stage(&run, bytes)?;
        // Counted only now: while our file is in the directory, no one can remove it and make another of the same name.
        let records = self.count_records(&run).map_err(self.failed("list", &run))?;
        if records >= self.limits.records_per_run {
            return Err(SpoolError::TooMany {
                path: self.path().join(run),
                limit: self.limits.records_per_run,
            });
        }
        // Whoever names the first record has synced the directory's own name before. So where one is, this can be saved; where none is,
        // the directory may be a moment old and its maker still on the way here.
        if records == 0 {
            self.sync(Path::new(RUNS))?;
        }
        staged.name(&run.join(layout::record(id)))?;
        self.sync(&run)
    }

    fn count_records(&self, run: &Path) -> io::Result<usize> {
        let mut records = 0;
        self.files.list(run, &mut |name| {
            records += usize::from(matches!(layout::role(name), Role::Record(_)))
        })?;
        Ok(records)
    }

    fn make_run(&self, key: RunKey) -> Result<(), SpoolError> {
        let run = layout::run(key);
        match self.make_dir(&run) {
            Err(SpoolError::Vanished { .. }) => {
                // Someone emptied the spool by hand.
                self.lay_out(|| Ok(()))?;
                self.make_dir(&run)
            }
            done => done,
        }
    }

    /// Puts `entry` in the place of the record `id` of run `key`, durably: after it was judged again. False when that record is gone.
    ///
    /// # Errors
    /// [`SpoolError::OtherRun`] when `entry` is of another run, [`SpoolError::TooLarge`], else what the disk said. Then the old one stays.
    pub fn rewrite(&self, key: RunKey, id: EntryId, entry: &Entry) -> Result<bool, SpoolError> {
        if entry.run_key() != Some(key) {
            return Err(SpoolError::OtherRun);
        }
        let run = layout::run(key);
        let name = layout::record(id);
        match self.files.metadata(&run.join(&name)) {
            Ok(_) => self.write_whole(&run, &name, &entry.encode()?).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("look at", &run.join(name))(e)),
        }
    }
}
