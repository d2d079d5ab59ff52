//! What can go wrong with a store.

use super::run::FoldError;
use pipefold_sandbox::Violation;
use std::path::PathBuf;

/// An error of a store. No message shows what a notification says, but for the words of the
/// rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The notification lacks what a run is kept under.
    #[error("the notification has no {0}: every notification needs a reference_id and a pipeline_name")]
    NoName(&'static str),
    /// The run belongs to a pipeline that the token may not write to.
    #[error("this reference_id belongs to a pipeline that this token may not write to: use another reference_id")]
    Foreign,
    /// The run has as many notifications, or as much text, as one may have.
    #[error(
        "this run already has {notifications} notifications with {bytes} bytes of text, and no room for more: begin a new run, with a new reference_id"
    )]
    HistoryFull {
        /// Its number of notifications.
        notifications: u32,
        /// Bytes of all their texts.
        bytes: u64,
    },
    /// The rules refuse the run with this notification.
    #[error("{}", FoldError::Refused(.0.clone()))]
    Refused(Vec<Violation>),
    /// The rules could not be asked.
    #[error("could not merge the run: {0}; nothing was kept, send it again")]
    FoldFailed(String),
    /// More is asked for than can be done.
    #[error("the store has more to do than it can take: try again in a moment")]
    Busy,
    /// The disk is full.
    #[error("the disk of {} is full: nothing was kept; make room, and it goes on by itself", .0.display())]
    DiskFull(PathBuf),
    /// Another program keeps the database locked.
    #[error("{} is locked by another program for longer than 5 seconds: nothing was kept; end that program's transaction", .0.display())]
    Locked(PathBuf),
    /// The content of the database is damaged.
    #[error("{} is damaged ({why}): keep a copy of it and of the files beside it whose names begin so, then restore a backup as examples/deploy/README.md says, or move it away to begin with an empty one", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// The file is something else.
    #[error("{} is not a database of pipefold ({why}): it was left as it is; move it away, or name another data directory", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Evidence of that.
        why: String,
    },
    /// A newer pipefold made it.
    #[error("{} was written by a newer pipefold (its schema is {found}, this one knows up to {known}): it was left as it is; use that version, or another data directory", .path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// The version of its schema.
        found: u32,
        /// The latest version that is known here.
        known: u32,
    },
    /// Another server uses the data directory.
    #[error("another server uses {}: stop it, or name another data directory", .0.display())]
    InUse(PathBuf),
    /// The data directory is not safe to use.
    #[error("the data directory {} {why}", .path.display())]
    Place {
        /// The directory.
        path: PathBuf,
        /// The fault, and its remedy.
        why: String,
    },
    /// The backup's file is there already.
    #[error("{} exists already: name a new file for the backup", .0.display())]
    BackupExists(PathBuf),
    /// The system refused something.
    #[error("could not {action} {}: {why}", .path.display())]
    Io {
        /// The action, such as `open`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The words of the system, or of SQLite.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed: the server is stopping")]
    Closed,
}

impl StoreError {
    /// Returns whether it is about what was asked, and not about the store: asking the same again will not help.
    #[must_use]
    pub fn is_about_request(&self) -> bool {
        matches!(
            self,
            Self::NoName(_) | Self::Foreign | Self::HistoryFull { .. } | Self::Refused(_) | Self::BackupExists(_)
        )
    }
}

impl From<FoldError> for StoreError {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Refused(violations) => Self::Refused(violations),
            FoldError::Failed(why) => Self::FoldFailed(why),
        }
    }
}
