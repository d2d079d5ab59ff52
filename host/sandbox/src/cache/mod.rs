//! Compiled code on disk, so that a component is compiled once.
//!
//! A cache is one directory. A user who can write to it can make this program run any code, so it is opened only if its owner alone can write,
//! and its owner is this user or root. Each entry is one file, which names its component and engine and has a digest against damage; it is
//! written to another name and renamed, so an entry is whole or missing. A damaged entry is compiled again.
//!
//! - `directory`: the directory, found or created, and checked. `names`: the files in it, and the removal of old ones.
//! - `entry`: compiled code, or a failed compilation.

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

/// Bytes that are read and digested at a time: they fit into a CPU's cache, and blake3 is quicker on long parts.
pub const PART: usize = 256 << 10;

/// A directory of compiled components.
pub struct Cache {
    dir: Dir,
    path: PathBuf,
}

impl Cache {
    /// Opens the cache in `path`, and creates it with mode 0700 if it is missing.
    ///
    /// It must belong to this user and be closed to all others; or to root, and then others may read it but not write to it, so that an
    /// operator can fill it for all users.
    ///
    /// # Errors
    /// [`CacheError`], naming the directory and a remedy.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let path = directory::full_name(path)?;
        let dir = directory::open_or_create(&path)?;
        Ok(Self { dir, path })
    }

    /// The default directory of the command's cache: `$XDG_CACHE_HOME/pipefold`, else `~/.cache/pipefold`, else a
    /// directory with this user's id in the temporary directory.
    #[must_use]
    pub fn usual_dir() -> PathBuf {
        directory::usual(|name| std::env::var_os(name), &std::env::temp_dir())
    }

    /// The path of its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens an entry, if it exists.
    ///
    /// # Errors
    /// [`EntryFlaw`] if it exists and must not be used.
    pub(crate) fn find(&self, key: &CacheKey) -> Result<Option<Entry>, EntryFlaw> {
        // In a long-lived process the directory's mode may have changed since it was opened.
        directory::check(&self.dir, &self.path).map_err(|error| EntryFlaw::Place(error.to_string()))?;
        Entry::open(&self.dir, key)
    }

    /// Waits until no other process writes the entry, at most for `wait`.
    pub(crate) fn lock(&self, key: &CacheKey, wait: Duration, deadline: &Deadline) -> Lock {
        Lock::take(&self.dir, key, wait, deadline)
    }

    /// The recorded failure to compile a component, if there is one.
    pub(crate) fn failure(&self, key: &CacheKey) -> Option<Failure> {
        directory::check(&self.dir, &self.path).ok()?;
        Failure::read(&self.dir, key)
    }

    /// Records a failure to compile a component; if that fails, the next process tries to compile it again.
    pub(crate) fn remember(&self, key: &CacheKey, failure: &Failure) {
        if let Ok(shared) = directory::check(&self.dir, &self.path) {
            let _ = failure.write(&self.dir, key, shared);
        }
    }

    /// Removes a recorded failure.
    pub(crate) fn forget(&self, key: &CacheKey) {
        Failure::remove(&self.dir, key);
    }

    /// Begins to write an entry.
    pub(crate) fn begin(&self, key: &CacheKey) -> Result<NewEntry<'_>, CacheError> {
        let shared = directory::check(&self.dir, &self.path)?;
        NewEntry::new(&self.dir, key, shared).map_err(|error| self.failed("write to", error))
    }

    /// Removes the oldest entries beyond the cache's size, except `keep`.
    pub(crate) fn prune(&self, keep: &CacheKey) {
        // An error is ignored: an entry that stays is no fault of the component that was compiled.
        let _ = names::prune(&self.dir, keep, names::MOST_BYTES);
    }

    pub(crate) fn failed(&self, action: &'static str, reason: io::Error) -> CacheError {
        CacheError::Io {
            action,
            path: self.path.clone(),
            reason,
        }
    }
}

/// The interval of tries to lock: long compared with a try, short compared with the seconds that compiling takes.
const PAUSE: Duration = Duration::from_millis(10);

/// The result of locking an entry, so that a component is compiled once when several processes need it. The system releases a lock when its
/// holder ends.
pub enum Lock {
    /// The lock: no other process writes the entry while this is held.
    Held(#[allow(dead_code, reason = "held until it is dropped")] File),
    /// Another process has held the lock for too long.
    Busy,
    /// Another process holds the lock, and the caller's deadline has passed.
    Over,
    /// The file system has no locks, or the directory cannot be written to.
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

/// An error of a cache's directory.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The path is empty.
    #[error("the cache's directory has no name; name one")]
    NoName,
    /// The path is a symbolic link, which may be changed before it is followed.
    #[error("cache {}: it is a symbolic link; name the directory that it leads to", .path.display())]
    Link {
        /// The directory.
        path: PathBuf,
    },
    /// Another user owns the directory, and could put code there.
    #[error(
        "cache {}: it belongs to the user with id {owner}, who could put code there; name a directory of your own (id {me}) or of root's",
        .path.display()
    )]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The user id of this process.
        me: u32,
    },
    /// Other users may write to the directory, or read one that is private.
    #[error("cache {}: its mode {mode:04o} lets other users in; run `chmod {advice} {}`, after checking its files", .path.display(), .path.display())]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The argument of `chmod` that corrects it.
        advice: &'static str,
    },
    /// The system refused an action.
    #[error("cannot {action} the cache {}: {reason}", .path.display())]
    Io {
        /// The action.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
}
