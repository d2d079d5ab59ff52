//! Accepting a notification.

use super::batch::Encoded;
use super::entry::{Entry, Hook};
use super::error::SpoolError;
use super::key::{EntryId, RunKey};
use super::layout::{self, FULL, FULL_FOR_ALL};
use super::open::Spool;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How old the word that the spool is full must be before it is checked: looking at everything takes a while, and each step of a build asks.
const FULL_FOR: Duration = Duration::from_secs(60);

/// Whether a run is right without this, as far as it goes: a step that did not fail.
pub(super) fn may_be_left_out(entry: &Entry) -> bool {
    let status = entry.notification.status.as_deref();
    entry.hook == Hook::Step && !matches!(status, Some("failure" | "cancelled"))
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its id.
    pub id: EntryId,
    /// It is a step of a run whose end was recorded before.
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
    /// `reference_id`, else what the disk said. Then nothing was recorded.
    pub fn record(&self, entry: &Entry) -> Result<Recorded, SpoolError> {
        let id = EntryId::random_for(entry.hook)?;
        if id.is_on_duty() {
            // What it cannot do now, the next one or a drain will.
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

    /// Nothing, or [`SpoolError::Full`]. What decides how a run goes is accepted for longer than what may be left out.
    pub(super) fn has_room(&self, may_be_left_out: bool) -> Result<(), SpoolError> {
        let marker = Path::new(if may_be_left_out { FULL } else { FULL_FOR_ALL });
        let is_full = || match self.files.metadata(marker) {
            Ok(found) => Ok(Some(found.modified)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("look at", marker)(e)),
        };
        let Some(since) = is_full()? else { return Ok(()) };
        // Something may have been delivered or removed since.
        let is_old = SystemTime::now().duration_since(since).is_ok_and(|age| age > FULL_FOR);
        if is_old && self.prune_in_time().is_ok() && is_full()?.is_none() {
            return Ok(());
        }
        Err(SpoolError::Full {
            path: self.path().to_owned(),
            limit: self.limits.size,
        })
    }

    /// Whether nothing is accepted, or only what decides how a run goes.
    pub(crate) fn is_full(&self) -> bool {
        self.files.metadata(Path::new(FULL)).is_ok()
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
