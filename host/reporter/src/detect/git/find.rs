//! Finding the repository (gitrepository-layout(5)).

use std::path::{Path, PathBuf};

use super::files;

/// How far up the search goes: deeper than any checkout, so that a hostile tree of directories costs no more than this many looks.
const LEVELS: usize = 64;

/// A repository's directories.
pub(super) struct Place {
    /// Where its files are checked out.
    pub(super) worktree: PathBuf,
    /// What this worktree has for itself: HEAD.
    pub(super) own: PathBuf,
    /// What all its worktrees share: refs and configuration.
    pub(super) common: PathBuf,
}

/// The repository that `directory`, which is absolute, lies in. One that belongs to another user counts as none, as git itself has it: who
/// shares a temporary directory could otherwise say who we are. Root may look at any.
pub(super) fn find(directory: &Path) -> Option<Place> {
    let (worktree, dot_git) = directory
        .ancestors()
        .take(LEVELS)
        .map(|level| (level, level.join(".git")))
        .find(|(_, dot_git)| dot_git.symlink_metadata().is_ok())?;
    let own = if dot_git.is_dir() {
        dot_git
    } else {
        // A linked worktree or a submodule: a file that names the place.
        worktree.join(files::line(&dot_git)?.strip_prefix("gitdir:")?.trim_start())
    };
    if !own.is_dir() || !is_ours(&own) {
        return None;
    }
    let common = match files::line(&own.join("commondir")) {
        Some(common) => own.join(common),
        None => own.clone(),
    };
    Some(Place {
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
