//! Compiled code on disk, so that a component is compiled once.
//!
//! A cache is one directory. A user that can write to it can make this program run any code, so it is opened only if its owner alone can,
//! and its owner is this user or root. Within it each entry is one file, which says what it was made from and has a digest against damage;
//! it is written aside and renamed, so an entry is there whole or not at all. An entry that is not as it should be is compiled again.

mod aside;
mod entry;
mod error;
mod failure;
mod key;
mod lock;
mod place;
mod prune;
#[cfg(test)]
mod tests;

use crate::deadline::Deadline;
use cap_std::fs::Dir;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use aside::Aside;
pub(crate) use entry::{Entry, Flaw};
pub use error::CacheError;
pub(crate) use failure::Failure;
pub(crate) use key::Key;
pub(crate) use lock::Lock;

/// Bytes that are read and digested at a time: they fit into a CPU's own memory, and a cache's digest is quicker on long parts.
pub(crate) const PART: usize = 256 << 10;

/// A directory of compiled components.
pub struct Cache {
    dir: Dir,
    path: PathBuf,
}

impl Cache {
    /// Opens the cache in `path`, and makes it, mode 0700, if it is missing.
    ///
    /// It must belong to this user and be closed to everyone else; or to root, and then others may read it but not write to it, so that
    /// an operator can fill it for everyone.
    ///
    /// # Errors
    /// [`CacheError`], naming the directory and what to do.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let path = place::full_name(path)?;
        let dir = place::make(&path)?;
        Ok(Self { dir, path })
    }

    /// The default directory of the command's cache: `$XDG_CACHE_HOME/pipefold`, else `~/.cache/pipefold`, else a
    /// directory with this user's id in the temporary directory.
    #[must_use]
    pub fn usual_dir() -> PathBuf {
        place::usual(|name| std::env::var_os(name), &std::env::temp_dir())
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks for an entry.
    ///
    /// # Errors
    /// [`Flaw`]: there is one, and it must not be used.
    pub(crate) fn find(&self, key: &Key) -> Result<Option<Entry>, Flaw> {
        // The directory's mode may have changed since it was opened, in a process that lives long.
        place::check(&self.dir, &self.path).map_err(|error| Flaw::Place(error.to_string()))?;
        Entry::open(&self.dir, key)
    }

    /// Waits until no other process makes the entry.
    pub(crate) fn lock(&self, key: &Key, wait: Duration, deadline: &Deadline) -> Lock {
        Lock::take(&self.dir, key, wait, deadline)
    }

    /// Why this component could not be compiled before, if it is remembered.
    pub(crate) fn failure(&self, key: &Key) -> Option<Failure> {
        place::check(&self.dir, &self.path).ok()?;
        Failure::read(&self.dir, key)
    }

    /// Remembers why a component could not be compiled; where that cannot be written, it is tried again.
    pub(crate) fn remember(&self, key: &Key, failure: &Failure) {
        if let Ok(shared) = place::check(&self.dir, &self.path) {
            let _ = failure.write(&self.dir, key, shared);
        }
    }

    /// Forgets it.
    pub(crate) fn forget(&self, key: &Key) {
        Failure::remove(&self.dir, key);
    }

    /// Begins a new entry.
    pub(crate) fn begin(&self, key: &Key) -> Result<Aside<'_>, CacheError> {
        let shared = place::check(&self.dir, &self.path)?;
        Aside::new(&self.dir, key, shared).map_err(|error| self.failed("write to", error))
    }

    /// Removes the oldest entries beyond the cache's size.
    pub(crate) fn prune(&self, keep: &Key) {
        // Room is made as well as it can be: an entry that stays is no fault of the component that was compiled.
        let _ = prune::prune(&self.dir, keep, prune::MOST);
    }

    pub(crate) fn failed(&self, action: &'static str, reason: io::Error) -> CacheError {
        CacheError::Io {
            action,
            path: self.path.clone(),
            reason,
        }
    }
}
