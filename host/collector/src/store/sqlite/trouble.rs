//! SQLite's errors in our words.

use crate::store::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
use std::path::{Path, PathBuf};

/// Result of functions within this module: SQLite's errors become [`StoreError`]s where the path is known.
pub type Result<T> = std::result::Result<T, Trouble>;

/// A failure while SQLite worked.
#[derive(Debug)]
pub enum Trouble {
    /// SQLite's own.
    Sqlite(rusqlite::Error),
    /// Something in the database is not what we write there.
    Content(String),
    /// Anything else, already in its words.
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
    /// It in words, for the database at `path`.
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

/// Errors that rusqlite itself finds: a value of another type than we write.
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
