//! How a file gets onto the disk whole: written aside, synced, renamed, its directory synced.

use super::error::SpoolError;
use super::files::NewFile;
use super::key::EntryId;
use super::layout;
use super::open::Spool;
use std::path::{Path, PathBuf};

/// A file whose bytes are safe and which has no name yet. Dropped without one, it is removed.
pub(super) struct Staged<'a> {
    spool: &'a Spool,
    path: PathBuf,
    named: bool,
}

impl Staged<'_> {
    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name; whatever had that name before is replaced in the same step.
    pub(super) fn name(mut self, path: &Path) -> Result<(), SpoolError> {
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
            // If this fails too, whoever loads the run an hour later removes it.
            let _ = self.spool.files.remove(&self.path);
        }
    }
}

impl Spool {
    /// Writes `bytes` aside in `dir` and syncs them.
    pub(super) fn stage(&self, dir: &Path, bytes: &[u8]) -> Result<Staged<'_>, SpoolError> {
        let (staged, file) = self.write_aside(dir, bytes)?;
        file.sync().map_err(self.failed("sync", &staged.path))?;
        Ok(staged)
    }

    /// Writes `bytes` aside in `dir`, and leaves it to the caller to sync them.
    pub(super) fn write_aside(&self, dir: &Path, bytes: &[u8]) -> Result<(Staged<'_>, Box<dyn NewFile>), SpoolError> {
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

    /// Puts `bytes` into `dir` as `name`, whole or not at all, and durably.
    pub(super) fn write_whole(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.stage(dir, bytes)?.name(&dir.join(name))?;
        self.sync(dir)
    }

    /// Puts `bytes` into `dir` as `name`. A crash of the process leaves the old file or the new one; a crash of the machine may leave part of
    /// it, or none.
    pub(super) fn write_unsynced(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.write_aside(dir, bytes)?.0.name(&dir.join(name))
    }

    /// Makes the names in `dir` survive a crash.
    pub(super) fn sync(&self, dir: &Path) -> Result<(), SpoolError> {
        self.files.sync_dir(dir).map_err(self.failed("sync", dir))
    }
}
