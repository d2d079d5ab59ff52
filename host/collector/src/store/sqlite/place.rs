//! The data directory, its lock, the names of its files.

use crate::access::TOKENS_FILE;
use crate::store::StoreError;
use rustix::fs::Mode;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The database. SQLite puts `-wal` and `-shm` beside it; the three belong together.
pub const DATABASE_FILE: &str = "pipefold.sqlite";

/// Locked by the server that uses the directory.
pub const LOCK_FILE: &str = "lock";

/// Names of files in a directory that is ours alone; the last is in every fresh ext volume. The outbox for DX is the server's.
const OURS: [&str; 9] = [
    DATABASE_FILE,
    "pipefold.sqlite-wal",
    "pipefold.sqlite-shm",
    LOCK_FILE,
    TOKENS_FILE,
    "tokens.lock",
    "tokens.new",
    "outbox",
    "lost+found",
];

/// A data directory that is ours alone, and locked for as long as this lives.
pub struct Place {
    /// Its full name, without links.
    path: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the directory `path` as [`data_directory`] does, and locks it.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let path = data_directory(path)?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|e| io_failed("open", &lock_path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path)),
            // Without a lock two servers would each give out the same ids.
            Err(TryLockError::Error(e)) => Err(io_failed("lock", &lock_path, &e)),
        }
    }

    /// The database; made empty, mode 0600, if it is missing, which the files that SQLite puts beside it then have too.
    pub fn database(&self) -> Result<PathBuf, StoreError> {
        let path = self.path.join(DATABASE_FILE);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(io_failed("make", &path, &e)),
            _ => Ok(path),
        }
    }
}

/// Makes the data directory `path`, mode 0700, if it is missing; checks that no one else may change what is in it, and takes from others the
/// right to read it. Returns its full name, without links. For whatever works on a data directory beside the server that has locked it.
///
/// # Errors
/// [`StoreError::Place`], [`StoreError::DiskFull`] or [`StoreError::Io`].
pub fn data_directory(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |action| move |e: io::Error| io_failed(action, path, &e);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make"))?;
    let path = path.canonicalize().map_err(failed("find"))?;
    check(&path)?;
    Ok(path)
}

/// Bytes that must be free for a database to take notifications: one changes a dozen pages of 4 KiB, each written to the log first.
const ROOM: u64 = 256 * 1024;

/// Returns whether there is room on the disk of `path`.
pub fn room(path: &Path) -> Result<(), StoreError> {
    let disk = rustix::fs::statvfs(path).map_err(|e| io_failed("look at the disk of", path, &e.into()))?;
    // Some disks do not report their size.
    if disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM {
        return Err(StoreError::DiskFull(path.to_owned()));
    }
    Ok(())
}

pub fn io_failed(action: &'static str, path: &Path, why: &io::Error) -> StoreError {
    if matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return StoreError::DiskFull(path.to_owned());
    }
    StoreError::Io {
        action,
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn check(path: &Path) -> Result<(), StoreError> {
    let refused = |why: String| StoreError::Place {
        path: path.to_owned(),
        why,
    };
    let found = std::fs::metadata(path).map_err(|e| io_failed("look at", path, &e))?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(refused(format!(
            "belongs to user {}, and this is user {me}: name another one, or run `chown -R {me}` on it",
            found.uid()
        )));
    }
    let mode = Mode::from_raw_mode(found.mode());
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        // Of a directory that others use, `chmod` would take it from them.
        return Err(refused(match stranger(path)? {
            Some(name) => format!(
                "may be written to by others (mode {:o}) and holds other things, such as {}: name a directory of its own",
                found.mode() & 0o7777,
                name.display()
            ),
            None => format!(
                "may be written to by others (mode {:o}): run `chmod 700` on it",
                found.mode() & 0o7777
            ),
        }));
    }
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        // Someone may have named their home.
        if let Some(name) = stranger(path)? {
            return Err(refused(format!(
                "may be read by others (mode {:o}) and holds other things, such as {}: name a directory of its own",
                found.mode() & 0o7777,
                name.display()
            )));
        }
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700))
            .map_err(|e| io_failed("chmod 700", path, &e))?;
    }
    Ok(())
}

/// Something in the directory that is not ours.
fn stranger(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    for entry in std::fs::read_dir(path).map_err(|e| io_failed("read", path, &e))? {
        let name = entry.map_err(|e| io_failed("read", path, &e))?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}
