//! The data directory, its lock, the names of its files, and the errors of the system and of SQLite as the store's.

use crate::access::TOKENS_FILE;
use crate::store::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
use rustix::fs::Mode;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The database. SQLite puts `-wal` and `-shm` beside it; the three belong together.
pub const DATABASE_FILE: &str = "pipefold.sqlite";

/// Locked by the server that uses the directory.
pub const LOCK_FILE: &str = "lock";

/// The names of files in a directory that is ours alone; the last is in every fresh ext volume. The outbox for DX is the server's.
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

/// A data directory that is ours alone, and locked as long as this lives.
pub struct Place {
    /// The full path, without links.
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

    /// Returns the path of the database, which is made empty with mode 0600 if it is missing. The files that SQLite puts beside it then
    /// have that mode too.
    pub fn database(&self) -> Result<PathBuf, StoreError> {
        let path = self.path.join(DATABASE_FILE);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(io_failed("make", &path, &e)),
            _ => Ok(path),
        }
    }
}

/// Makes the data directory `path`, mode 0700, if it is missing; checks that no other user may change its content, and removes the right of
/// others to read it. Returns its full path, without links. For commands that work on a data directory beside the server that has locked
/// it.
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

/// The bytes that must be free for a database to take notifications: one changes a dozen pages of 4 KiB, each written to the log first.
const ROOM: u64 = 256 * 1024;

/// Checks that there is room on the disk of `path`.
pub fn room(path: &Path) -> Result<(), StoreError> {
    let disk = rustix::fs::statvfs(path).map_err(|e| io_failed("read the disk of", path, &e.into()))?;
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
    let found = std::fs::metadata(path).map_err(|e| io_failed("read", path, &e))?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(refused(format!(
            "belongs to user {}, and this is user {me}: name another one, or run `chown -R {me}` on it",
            found.uid()
        )));
    }
    let mode = Mode::from_raw_mode(found.mode());
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        // `chmod` would take the directory from others who use it.
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

/// Returns the name of something in the directory that is not ours.
fn stranger(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    for entry in std::fs::read_dir(path).map_err(|e| io_failed("read", path, &e))? {
        let name = entry.map_err(|e| io_failed("read", path, &e))?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// The result of functions within this module: SQLite's errors become [`StoreError`]s where the path is known.
pub type Result<T, E = Trouble> = std::result::Result<T, E>;

/// A failure while SQLite worked.
#[derive(Debug)]
pub enum Trouble {
    /// An error of SQLite.
    Sqlite(rusqlite::Error),
    /// A value in the database that is not as we write it.
    Content(String),
    /// Another error, as the store's.
    Store(StoreError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Trouble {
    /// Returns the store's error, for the database at `path`.
    pub fn into_store_error(self, path: &Path) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::Content(why) => {
                return StoreError::Corrupt {
                    path: path.to_owned(),
                    why,
                };
            }
            Self::Sqlite(error) => error,
        };
        let why = error.to_string();
        let path = path.to_owned();
        let Some(&code) = error.sqlite_error() else {
            return from_wrapper(&error, path, why);
        };
        match code.code {
            ErrorCode::DiskFull => StoreError::DiskFull(directory(path)),
            // SQLite reports a full disk as such when it writes rows, but not when it makes room for the index of the log.
            _ if [SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE].contains(&code.extended_code) => {
                StoreError::DiskFull(directory(path))
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked(path),
            ErrorCode::DatabaseCorrupt => StoreError::Corrupt { path, why },
            ErrorCode::NotADatabase => StoreError::NotOurs { path, why },
            _ => StoreError::Io {
                action: "use",
                path,
                why,
            },
        }
    }
}

/// Returns the store's error for an error that rusqlite itself finds: a value of another type than we write.
fn from_wrapper(error: &rusqlite::Error, path: PathBuf, why: String) -> StoreError {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, Utf8Error,
    };
    match error {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | QueryReturnedNoRows
        | Utf8Error(..) => StoreError::Corrupt { path, why },
        _ => StoreError::Io {
            action: "use",
            path,
            why,
        },
    }
}

fn directory(path: PathBuf) -> PathBuf {
    path.parent().map_or(path.clone(), Path::to_owned)
}
