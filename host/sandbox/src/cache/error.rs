//! What can be wrong with a cache's directory.

use std::{io, path::PathBuf};

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
