//! The place of the repository that a directory is in, and its files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How far up the search goes: deeper than any checkout, so that a hostile tree of directories costs no more than this many looks.
const LEVELS: usize = 64;

/// A repository's directories.
pub struct RepositoryDirs {
    /// Where its files are checked out.
    pub worktree: PathBuf,
    /// What this worktree has for itself: HEAD.
    pub own: PathBuf,
    /// What all its worktrees share: refs and configuration.
    pub common: PathBuf,
}

/// The repository that `directory`, which is absolute, lies in. One that belongs to another user counts as none, as git itself has it: who
/// shares a temporary directory could otherwise say who we are. Root may look at any.
pub fn find(directory: &Path) -> Option<RepositoryDirs> {
    let (worktree, dot_git) = directory
        .ancestors()
        .take(LEVELS)
        .map(|level| (level, level.join(".git")))
        .find(|(_, dot_git)| dot_git.symlink_metadata().is_ok())?;
    let own = if dot_git.is_dir() {
        dot_git
    } else {
        // A linked worktree or a submodule: a file that names the place.
        worktree.join(line(&dot_git)?.strip_prefix("gitdir:")?.trim_start())
    };
    if !own.is_dir() || !is_ours(&own) {
        return None;
    }
    let common = match line(&own.join("commondir")) {
        Some(common) => own.join(common),
        None => own.clone(),
    };
    Some(RepositoryDirs {
        worktree: worktree.to_path_buf(),
        own,
        common,
    })
}

#[cfg(unix)]
fn is_ours(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    user.is_root()
        || directory
            .metadata()
            .is_ok_and(|metadata| metadata.uid() == user.as_raw())
}

#[cfg(not(unix))]
fn is_ours(_: &Path) -> bool {
    true
}

/// The file's content, if it is a regular file of at most `most` bytes; a part of one would be something else than it says.
pub fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let file = open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// The first line of a small text file, such as HEAD.
pub fn line(path: &Path) -> Option<String> {
    // As long as the longest path that Linux takes, which a file `gitdir` may hold.
    let bytes = read(path, 4096)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    text.lines().next().map(|line| line.trim_end().to_owned())
}

/// Without waiting for a writer, should the path be a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
