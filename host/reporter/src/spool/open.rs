//! The spool as an object: opened once, shared by every thread.

use super::disk::Disk;
use super::error::SpoolError;
use super::files::{Files, Kind};
use super::layout::{ASIDE, REJECTED, RUNS};
use super::place;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How much a spool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on disk, counted in blocks of 4 KiB. Past it the oldest delivered data is removed, then nothing new is accepted.
    pub size: u64,
    /// Notifications of one run.
    pub records_per_run: usize,
    /// Bytes of one run that are read into memory at a time.
    pub loaded_at_once: u64,
    /// For how long a run that is finished and delivered is kept.
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Some 60,000 steps: far more than an outage of DX leaves behind, and small beside any runner's disk.
            size: 256 * 1024 * 1024,
            // DX's merge takes no more (DESIGN, section 3).
            records_per_run: 10_000,
            // Four times the history that the rules allow, because a record repeats the notification in its verdict.
            loaded_at_once: 32 * 1024 * 1024,
            // Long enough to look into a run the next morning.
            keep: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A durable spool of notifications in one directory. See the [module](super).
///
/// It holds no state but an open directory: any number of threads and processes may use the same one at the same time.
pub struct Spool {
    pub(super) files: Arc<dyn Files>,
    pub(super) limits: Limits,
    path: PathBuf,
}

impl Spool {
    /// Opens the spool at `path`; makes it, and the directories that lead to it, mode 0700, if they are missing.
    ///
    /// A directory that others may read is closed to them (mode 0700), unless it holds something besides a spool.
    ///
    /// # Errors
    /// When `path` is a symbolic link, belongs to someone else, may be written to by others, or cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        let path = place::full_name(path)?;
        let place = place::make(&path)?;
        let files = Arc::new(Disk::new(
            place
                .dir
                .try_clone()
                .map_err(|e| SpoolError::from_io("open", &path, e))?,
            false,
        ));
        let spool = Self {
            files,
            limits: Limits::default(),
            path,
        };
        spool.lay_out(|| place.sync_parents(&spool.path))?;
        Ok(spool)
    }

    /// Opens the spool at `path` to look at it: nothing is made, moved or removed, and what would change it is refused.
    ///
    /// # Errors
    /// As [`Spool::open`]; [`SpoolError::Missing`] when there is none.
    pub fn open_existing(path: &Path) -> Result<Self, SpoolError> {
        let path = place::full_name(path)?;
        let files = Arc::new(Disk::new(place::find(&path)?, true));
        let spool = Self {
            files,
            limits: Limits::default(),
            path,
        };
        for name in [RUNS, REJECTED, ASIDE] {
            spool.has_dir(Path::new(name))?;
        }
        Ok(spool)
    }

    /// A spool on any file system, with everything above it durable.
    #[cfg(test)]
    pub(super) fn on(files: Arc<dyn Files>) -> Result<Self, SpoolError> {
        let spool = Self {
            files,
            limits: Limits::default(),
            path: PathBuf::from("/simulated"),
        };
        spool.lay_out(|| Ok(()))?;
        Ok(spool)
    }

    /// The same spool with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directories within the spool. `aside` comes last, so where it exists, all that leads to the spool was synced before.
    pub(super) fn lay_out(&self, sync_parents: impl FnOnce() -> Result<(), SpoolError>) -> Result<(), SpoolError> {
        let mut made = false;
        for name in [RUNS, REJECTED] {
            if !self.has_dir(Path::new(name))? {
                self.make_dir(Path::new(name))?;
                made = true;
            }
        }
        let settled = self.has_dir(Path::new(ASIDE))?;
        if !settled {
            sync_parents()?;
        }
        if made || !settled {
            self.files
                .sync_dir(Path::new(""))
                .map_err(self.failed("sync", Path::new("")))?;
        }
        if settled {
            Ok(())
        } else {
            self.make_dir(Path::new(ASIDE))
        }
    }

    fn has_dir(&self, dir: &Path) -> Result<bool, SpoolError> {
        match self.files.metadata(dir) {
            Ok(found) if found.kind == Kind::Directory => Ok(true),
            Ok(_) => Err(SpoolError::NotADirectory {
                path: self.path.join(dir),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("look at", dir)(e)),
        }
    }

    /// Makes a directory, if no one else has.
    pub(super) fn make_dir(&self, dir: &Path) -> Result<(), SpoolError> {
        match self.files.create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(self.failed("make", dir)(e)),
            _ => Ok(()),
        }
    }

    /// Turns the failure of `action` on `path` into an error that names both.
    pub(super) fn failed(&self, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError + use<> {
        let path: PathBuf = self.path.join(path).components().collect();
        move |error| SpoolError::from_io(action, &path, error)
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("path", &self.path)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
