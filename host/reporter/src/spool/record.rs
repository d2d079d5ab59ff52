//! Accepting a notification.

use super::batch::Encoded;
use super::entry::Entry;
use super::error::SpoolError;
use super::key::{EntryId, RunKey};
use super::layout::{self, FULL};
use super::open::Spool;
use std::io;
use std::path::Path;

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
        self.has_room()?;
        self.put_all(&[Encoded { key, id, bytes }])
    }

    /// Nothing, or [`SpoolError::Full`].
    pub(super) fn has_room(&self) -> Result<(), SpoolError> {
        match self.files.metadata(Path::new(FULL)) {
            Ok(_) => Err(SpoolError::Full {
                path: self.path().to_owned(),
                limit: self.limits.size,
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(self.failed("look at", Path::new(FULL))(e)),
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
