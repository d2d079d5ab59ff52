//! Compiled code on disk, so that a component is compiled once.
//!
//! A cache is one directory. A user that can write to it can make this program run any code, so it is opened only if its owner alone can,
//! and its owner is this user or root. Within it each entry is one file, which says what it was made from and has a digest against damage;
//! it is written aside and renamed, so an entry is there whole or not at all. An entry that is not as it should be is compiled again.

mod directory;
mod entry;
mod names;
#[cfg(test)]
mod tests;

pub use entry::{Entry, EntryFlaw, Failure, NewEntry};
pub use names::CacheKey;

use crate::compile::Deadline;
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Bytes that are read and digested at a time: they fit into a CPU's own memory, and a cache's digest is quicker on long parts.
pub const PART: usize = 256 << 10;

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
        let path = directory::full_name(path)?;
        let dir = directory::make(&path)?;
        Ok(Self { dir, path })
    }

    /// The default directory of the command's cache: `$XDG_CACHE_HOME/pipefold`, else `~/.cache/pipefold`, else a
    /// directory with this user's id in the temporary directory.
    #[must_use]
    pub fn usual_dir() -> PathBuf {
        directory::usual(|name| std::env::var_os(name), &std::env::temp_dir())
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
    pub(crate) fn find(&self, key: &CacheKey) -> Result<Option<Entry>, EntryFlaw> {
        // The directory's mode may have changed since it was opened, in a process that lives long.
        directory::check(&self.dir, &self.path).map_err(|error| EntryFlaw::Place(error.to_string()))?;
        Entry::open(&self.dir, key)
    }

    /// Waits until no other process makes the entry.
    pub(crate) fn lock(&self, key: &CacheKey, wait: Duration, deadline: &Deadline) -> Lock {
        Lock::take(&self.dir, key, wait, deadline)
    }

    /// Why this component could not be compiled before, if it is remembered.
    pub(crate) fn failure(&self, key: &CacheKey) -> Option<Failure> {
        directory::check(&self.dir, &self.path).ok()?;
        Failure::read(&self.dir, key)
    }

    /// Remembers why a component could not be compiled; where that cannot be written, it is tried again.
    pub(crate) fn remember(&self, key: &CacheKey, failure: &Failure) {
        if let Ok(shared) = directory::check(&self.dir, &self.path) {
            let _ = failure.write(&self.dir, key, shared);
        }
    }

    /// Forgets it.
    pub(crate) fn forget(&self, key: &CacheKey) {
        Failure::remove(&self.dir, key);
    }

    /// Begins a new entry.
    pub(crate) fn begin(&self, key: &CacheKey) -> Result<NewEntry<'_>, CacheError> {
        let shared = directory::check(&self.dir, &self.path)?;
        NewEntry::new(&self.dir, key, shared).map_err(|error| self.failed("write to", error))
    }

    /// Removes the oldest entries beyond the cache's size.
    pub(crate) fn prune(&self, keep: &CacheKey) {
        // Room is made as well as it can be: an entry that stays is no fault of the component that was compiled.
        let _ = names::prune(&self.dir, keep, names::MOST);
    }

    pub(crate) fn failed(&self, action: &'static str, reason: io::Error) -> CacheError {
        CacheError::Io {
            action,
            path: self.path.clone(),
            reason,
        }
    }
}

/// How often to look: rarely beside the seconds that compiling takes, and often enough not to be noticed.
const PAUSE: Duration = Duration::from_millis(10);

/// Leave to make an entry. The system takes a lock back when its holder ends, however it ends.
pub enum Lock {
    /// No other process makes it while this is held.
    Held(#[allow(dead_code, reason = "held until it is dropped")] File),
    /// Someone else has been at it for too long.
    Busy,
    /// Someone else is at it, and the caller's deadline has passed.
    Over,
    /// There are no locks in this place, or nothing can be written there.
    None,
}

impl Lock {
    pub fn take(dir: &Dir, key: &CacheKey, wait: Duration, deadline: &Deadline) -> Self {
        let until = Instant::now() + wait;
        let Ok(file) = directory::open(dir, key.lock_name().as_ref(), OFlags::RDWR | OFlags::CREATE) else {
            return Self::None;
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Self::Held(file),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return Self::Busy,
                Err(TryLockError::WouldBlock) => match deadline.pause(PAUSE) {
                    Some(pause) => thread::sleep(pause),
                    None => return Self::Over,
                },
                Err(TryLockError::Error(_)) => return Self::None,
            }
        }
    }
}

/// Why a directory cannot be a cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No directory was named.
    #[error("the cache's directory has no name; name one")]
    NoName,
    /// It is a symbolic link, which may lead anywhere by the time it is followed.
    #[error("cache {}: it is a symbolic link; name the directory that it leads to", .path.display())]
    Link {
        /// The directory.
        path: PathBuf,
    },
    /// Someone else owns it, and could put code there.
    #[error(
        "cache {}: it belongs to the user with id {owner}, who could put code there; name a directory of your own (id {me}) or of root's",
        .path.display()
    )]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who runs this process.
        me: u32,
    },
    /// Others may write to it, or read what only one user should.
    #[error("cache {}: its mode {mode:04o} lets other users in; run `chmod {advice} {}`, after a look at what is in it", .path.display(), .path.display())]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        advice: &'static str,
    },
    /// The system refused something.
    #[error("cannot {action} the cache {}: {reason}", .path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}
