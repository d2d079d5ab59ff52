//! Errors of the spool.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the spool, with its place and advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// There is no spool at this place.
    #[error(
        "there is no spool at {path}: nothing was recorded there; if it is elsewhere, name it with --spool or PIPEFOLD_SPOOL"
    )]
    Missing {
        /// The place.
        path: PathBuf,
    },
    /// No directory was named.
    #[error("the name of the spool directory is empty: name a directory with --spool or PIPEFOLD_SPOOL")]
    NoName,
    /// The spool itself is a symbolic link.
    #[error("{path} is a symbolic link, and a spool is not reached through one: name the directory it points to")]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A file of another kind is in place of a directory.
    #[error("{path} is not a directory: move it away, or name another spool with --spool or PIPEFOLD_SPOOL")]
    NotADirectory {
        /// The place of the directory.
        path: PathBuf,
    },
    /// The spool, or a directory in it, belongs to another user.
    #[error(
        "{path} belongs to the user with id {owner}, and this process runs as {me}: name a directory of your own with --spool or \
         PIPEFOLD_SPOOL, such as a new one inside it"
    )]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The effective user id of this process.
        me: u32,
    },
    /// Other users may write to the spool.
    #[error(
        "other users may write to {path} (mode {mode:04o}): run `chmod 700` on it, or name a directory of your own with --spool or \
         PIPEFOLD_SPOOL, such as a new one inside it"
    )]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file system, or the user's share of it, is full.
    #[error(
        "no space left to {action} {path} ({source}): free some, or name a spool on another file system with --spool"
    )]
    NoSpace {
        /// The attempted action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error(
        "cannot {action} {path}, which is on a read-only file system: name a spool that can be written to with --spool"
    )]
    ReadOnly {
        /// The attempted action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The system does not allow it.
    #[error("no permission to {action} {path}: check its owner and mode, or name another spool with --spool")]
    Denied {
        /// The attempted action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The file or directory was removed meanwhile.
    #[error(
        "could not {action} {path}: it was removed meanwhile; if something cleans this directory, name another with --spool"
    )]
    Vanished {
        /// The attempted action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// Any other refusal of the system.
    #[error("could not {action} {path}: {source}; check the disk, or name another spool with --spool")]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The spool has reached its limit.
    #[error(
        "the spool {path} holds more than {} MiB that could not be delivered, so nothing new is accepted: deliver it with \
         `pipefold flush`, keep it with `pipefold flush --export FILE`, or empty its `rejected` and `aside`", limit / (1024 * 1024)
    )]
    Full {
        /// The spool.
        path: PathBuf,
        /// Its limit, in bytes.
        limit: u64,
    },
    /// The run has as many records as the rules allow.
    #[error(
        "{path} already holds {limit} notifications, the most a run may have: check what sends so many with one reference_id"
    )]
    TooMany {
        /// The directory of the run.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A record is too large.
    #[error("the notification takes {size} bytes on disk, and at most {limit} are accepted: shorten its fields")]
    TooLarge {
        /// The size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A record without a run.
    #[error("the notification has no reference_id, so it belongs to no run: give one")]
    NoRun,
    /// A replacement record belongs to another run.
    #[error("the notification belongs to another run than the record it was to replace")]
    OtherRun,
    /// A record could not be written as JSON.
    #[error("the notification could not be written as JSON: {reason}")]
    Encode {
        /// The cause.
        reason: String,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers, which name the records: {reason}")]
    Random {
        /// The cause.
        reason: String,
    },
    /// The export could not be written.
    #[error("could not write the export: {0}; nothing in the spool has changed")]
    Export(io::Error),
    /// The file to import could not be read.
    #[error(
        "could not read what is to be imported: {0}; what was read before is imported, and the file can be imported again"
    )]
    Import(io::Error),
}

impl SpoolError {
    /// The error for `error` of `action` on `path`.
    pub(super) fn from_io(action: &'static str, path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace {
                action,
                path,
                source: error,
            },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Denied { action, path },
            io::ErrorKind::NotFound => Self::Vanished { action, path },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => Self::Io {
                action,
                path,
                source: error,
            },
        }
    }
}
