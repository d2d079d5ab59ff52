//! What can go wrong with the spool.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with the spool: where, and what to do.
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
    /// Something else is where a directory belongs.
    #[error("{path} is not a directory: move it away, or name another spool with --spool or PIPEFOLD_SPOOL")]
    NotADirectory {
        /// Where a directory was expected.
        path: PathBuf,
    },
    /// The spool, or a directory in it, is someone else's.
    #[error(
        "{path} belongs to the user with id {owner}, and this process runs as {me}: name a directory of your own with --spool or \
         PIPEFOLD_SPOOL, such as a new one inside it"
    )]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our effective user id.
        me: u32,
    },
    /// Other users could change what is in the spool.
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
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error(
        "cannot {action} {path}, which is on a read-only file system: name a spool that can be written to with --spool"
    )]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The system does not allow it.
    #[error("no permission to {action} {path}: check its owner and mode, or name another spool with --spool")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// It is not there any more.
    #[error(
        "could not {action} {path}: it was removed meanwhile; if something cleans this directory, name another with --spool"
    )]
    Vanished {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// Any other refusal of the system.
    #[error("could not {action} {path}: {source}; check the disk, or name another spool with --spool")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// More waits than may.
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
    /// The run has as many records as DX's merge takes.
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
    /// A record was to be put into another run.
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
    /// What `error` means when `action` on `path` brought it.
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
