//! The few things the spool asks of a file system, so that a test can put a simulated one in its place.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What a name stands for. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Other,
}

/// What the file system says about a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata {
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) len: u64,
    pub(super) modified: SystemTime,
    /// The owner's user id.
    pub(super) owner: u32,
}

/// What reading a file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it.
    Whole(Vec<u8>),
    /// It is nothing the spool wrote, and why.
    Unusable(String),
}

/// A file that was written and may still be lost.
pub(super) trait NewFile: Send + Sync {
    /// On return its bytes survive a crash of the machine; its name may not.
    fn sync(&self) -> io::Result<()>;
}

/// A directory tree. Paths are relative to its root and made of plain names; no part of one is ever followed as a symbolic link, and a
/// link or file where a directory belongs is [`io::ErrorKind::NotADirectory`].
pub(super) trait Files: Send + Sync {
    /// Makes a directory, mode 0700.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Gives every name in `dir`, in no order.
    fn list(&self, dir: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()>;
    /// Every name in `dir`, with its metadata.
    fn list_with_metadata(&self, dir: &Path) -> io::Result<Vec<(OsString, Metadata)>>;
    /// When each of these names in `dir` was last changed; none for one that is gone.
    fn changes_of(&self, dir: &Path, names: &[String]) -> io::Result<Vec<Option<SystemTime>>>;
    /// What is known about `path`.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// Reads a regular file of ours, of at most `max` bytes.
    fn read(&self, path: &Path, max: u64) -> io::Result<Content>;
    /// Makes a file that does not exist yet, mode 0600.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn NewFile>>;
    /// Gives `from` the name `to`, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// On return the names in `dir` survive a crash of the machine.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Removes a name that is no directory.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the file if need be and locks it until the answer is dropped; none while another process holds it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// Locks a directory until the answer is dropped; none while another process holds it.
    fn try_lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}
