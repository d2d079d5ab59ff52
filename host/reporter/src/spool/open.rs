//! Opens the spool: its directory, found or created and checked, opened once and shared by every thread; and its locks.

use super::entry::RunKey;
use super::error::SpoolError;
use super::files::{Disk, FileKind, Files, open_dir, sync_names};
use super::layout;
use super::layout::{ASIDE, DONE, FULL, FULL_FOR_ALL, GOCD, LOCK, OUTLOOK, REJECTED, RUNS};
use crate::kill_points::pass;
use cap_std::fs::Dir;
use rustix::fs::{CWD, Mode};
use std::any::Any;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// The limits of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on disk, counted in blocks of 4 KiB. Past this limit the oldest delivered data is removed, then nothing new is accepted.
    pub size: u64,
    /// Notifications of one run.
    pub records_per_run: usize,
    /// Bytes of one run that are read into memory at a time.
    pub loaded_at_once: u64,
    /// The time for which a finished and delivered run is kept.
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Some 60,000 steps: far more than an outage of DX leaves behind, and small beside any runner's disk.
            size: 256 * 1024 * 1024,
            // The rules accept no more (DESIGN, section 3).
            records_per_run: 10_000,
            // Four times the history that the rules allow, because a record repeats the notification in its verdict.
            loaded_at_once: 32 * 1024 * 1024,
            // Long enough to examine a run the next morning.
            keep: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A durable spool of notifications in one directory. See the [module](super).
///
/// Its only state is an open directory: any number of threads and processes may use the same spool at the same time.
pub struct Spool {
    pub(super) files: Arc<dyn Files>,
    pub(super) limits: Limits,
    path: PathBuf,
}

impl Spool {
    /// Opens the spool at `path`; creates it and its parent directories, mode 0700, if they are missing.
    ///
    /// A directory that others may read is closed to them (mode 0700), unless it holds other files than a spool's.
    ///
    /// # Errors
    /// If `path` is a symbolic link, belongs to another user, may be written to by others, or cannot be created or read.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        let path = full_name(path)?;
        let place = make(&path)?;
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

    /// Opens the spool at `path` read-only: nothing is created, moved or removed, and changes are refused.
    ///
    /// # Errors
    /// As [`Spool::open`]; [`SpoolError::Missing`] if there is none.
    pub fn open_existing(path: &Path) -> Result<Self, SpoolError> {
        let path = full_name(path)?;
        let files = Arc::new(Disk::new(find(&path)?, true));
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

    /// A spool on any file system, whose parent directories are durable.
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

    /// Returns the spool with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The spool's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the directories within the spool. `aside` is the last, so if it exists, all parent directories were synced before.
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
            Ok(found) if found.kind == FileKind::Directory => Ok(true),
            Ok(_) => Err(SpoolError::NotADirectory {
                path: self.path.join(dir),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("check", dir)(e)),
        }
    }

    /// Creates a directory, if it does not exist.
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

/// The opened directory, and the directories that were created for it.
struct Root {
    pub dir: Dir,
    /// The directories that were created, the outermost first.
    made: Vec<PathBuf>,
}

/// The full name of `path`, without a final `/`, with which the system would follow a link there.
fn full_name(path: &Path) -> Result<PathBuf, SpoolError> {
    if path.as_os_str().is_empty() {
        return Err(SpoolError::NoName);
    }
    let path = std::path::absolute(path).map_err(|e| SpoolError::from_io("find", path, e))?;
    Ok(path.components().collect())
}

/// Opens `path`; creates it first, mode 0700, if it is missing.
fn make(path: &Path) -> Result<Root, SpoolError> {
    let mut made = Vec::new();
    let mut found = find(path);
    if let Err(SpoolError::Missing { .. }) = found {
        make_dirs(path, &mut made)?;
        found = find(path);
    }
    let dir = found?;
    tighten(&dir, path)?;
    Ok(Root { dir, made })
}

/// Opens `path`, which must exist, and checks that no other user may write to it.
fn find(path: &Path) -> Result<Dir, SpoolError> {
    let dir = open_dir(CWD, path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => SpoolError::Missing { path: path.to_owned() },
        io::ErrorKind::NotADirectory if path.is_symlink() => SpoolError::Link { path: path.to_owned() },
        _ => SpoolError::from_io("open", path, e),
    })?;
    let stat = rustix::fs::fstat(&dir).map_err(|e| SpoolError::from_io("check", path, e.into()))?;
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        return Err(SpoolError::WrongOwner {
            path: path.to_owned(),
            owner: stat.st_uid,
            me,
        });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(SpoolError::WritableByOthers {
            path: path.to_owned(),
            mode: mode.bits() & 0o7777,
        });
    }
    Ok(dir)
}

impl Root {
    /// Syncs the spool's parent directories, so that they survive a crash. Needed once for each spool.
    fn sync_parents(&self, path: &Path) -> Result<(), SpoolError> {
        // If nothing was created here, another process may have created it a moment ago and not have synced it yet.
        let names: Vec<&Path> = if self.made.is_empty() {
            path.ancestors().collect()
        } else {
            self.made.iter().map(PathBuf::as_path).collect()
        };
        for parent in names.iter().filter_map(|name| name.parent()) {
            pass("spool.sync_parent");
            // A directory that may be passed but not read cannot be synced, and a user without the right to write has created nothing in
            // it.
            match File::open(parent).and_then(|dir| sync_names(&dir)) {
                Err(e) if !self.made.is_empty() && e.kind() != io::ErrorKind::PermissionDenied => {
                    return Err(SpoolError::from_io("sync", parent, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn make_dirs(path: &Path, made: &mut Vec<PathBuf>) -> Result<(), SpoolError> {
    pass("spool.make");
    let make = || DirBuilder::new().mode(0o700).create(path);
    let first = match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else {
                return Err(SpoolError::from_io("make", path, e));
            };
            make_dirs(parent, made)?;
            make()
        }
        other => other,
    };
    match first {
        Ok(()) => made.push(path.to_owned()),
        // Another process was quicker, or another file is there, which opening it finds.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(SpoolError::from_io("make", path, e)),
    }
    Ok(())
}

/// Removes the right of others to read, if the directory is only a spool: a user may have named the home directory.
fn tighten(dir: &Dir, path: &Path) -> Result<(), SpoolError> {
    let failed = |e| SpoolError::from_io("check", path, e);
    let stat = rustix::fs::fstat(dir).map_err(|e| failed(e.into()))?;
    if !Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        return Ok(());
    }
    for entry in dir.entries().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // The last is in every fresh ext volume.
        if ![
            RUNS,
            DONE,
            OUTLOOK,
            REJECTED,
            ASIDE,
            LOCK,
            FULL,
            FULL_FOR_ALL,
            GOCD,
            "lost+found",
        ]
        .iter()
        .any(|ours| name == *ours)
        {
            return Ok(());
        }
    }
    pass("spool.tighten");
    rustix::fs::fchmod(dir, Mode::RWXU).map_err(|e| SpoolError::from_io("chmod 700", path, e.into()))
}

/// The pause between two attempts to lock. A file lock cannot be waited for with a deadline; an attempt costs some 10 µs, and the delivery
/// that holds the lock takes tens of milliseconds.
const NAP: Duration = Duration::from_millis(5);

/// The right to deliver, held until it is dropped. The system releases the lock of a process that dies.
pub struct DrainLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for DrainLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrainLock")
    }
}

/// The result of an attempt to lock.
#[derive(Debug)]
pub enum LockState {
    /// This process has the lock until this value is dropped.
    Held(DrainLock),
    /// Another process has the lock.
    Busy,
    /// There are no locks here (some network disks, a disk that is full, read-only or without permission): deliver without, since upserts
    /// repeat harmlessly.
    Unsupported,
}

impl Spool {
    /// Locks the spool for delivering all waiting runs, if no other process has it.
    #[must_use]
    pub fn try_lock(&self) -> LockState {
        let path = Path::new(LOCK);
        let mut answer = self.files.try_lock(path);
        // A link or a directory in its place must not prevent delivery.
        if answer.is_err()
            && self
                .files
                .metadata(path)
                .is_ok_and(|found| found.kind != FileKind::File)
        {
            self.set_aside(path, "is not a regular file".into());
            answer = self.files.try_lock(path);
        }
        LockState::from(answer)
    }

    /// Locks one run, so that two processes do not send it at the same time. Recording needs no lock.
    #[must_use]
    pub fn try_lock_run(&self, key: RunKey) -> LockState {
        self.files.try_lock_dir(&layout::run(key)).into()
    }

    /// Locks the spool for delivery, waiting for other processes until `deadline`; then [`LockState::Busy`].
    #[must_use]
    pub fn lock_until(&self, deadline: Instant) -> LockState {
        wait_until(deadline, || self.try_lock())
    }
}

/// Tries to lock until `deadline`; then [`LockState::Busy`].
pub fn wait_until(deadline: Instant, try_lock: impl Fn() -> LockState) -> LockState {
    loop {
        let state = try_lock();
        let left = deadline.saturating_duration_since(Instant::now());
        if !matches!(state, LockState::Busy) || left.is_zero() {
            return state;
        }
        std::thread::sleep(NAP.min(left));
    }
}

impl From<io::Result<Option<Box<dyn Any + Send + Sync>>>> for LockState {
    /// Any failure other than another process's lock does not prevent delivery: upserts repeat harmlessly.
    fn from(answer: io::Result<Option<Box<dyn Any + Send + Sync>>>) -> Self {
        match answer {
            Ok(Some(held)) => Self::Held(DrainLock { _held: held }),
            Ok(None) => Self::Busy,
            Err(error) => {
                tracing::debug!(%error, "the spool cannot be locked");
                Self::Unsupported
            }
        }
    }
}
