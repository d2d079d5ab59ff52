//! Finding the workspace's file.

use std::path::{Path, PathBuf};

/// Name of the file in a workspace.
pub const FILE_NAME: &str = "pipefold.toml";

/// How far up the search goes: deeper than any checkout, so that a hostile tree of directories costs no more than this many looks.
const LEVELS: usize = 64;

/// The first `pipefold.toml` in `directory` or above it. `directory` is absolute. A link counts as found, so that it is refused by name
/// and does not uncover the file of a directory above.
pub(super) fn find_upwards(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .take(LEVELS)
        .map(|level| level.join(FILE_NAME))
        .find(|path| path.symlink_metadata().is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let (upper, lower) = (
            directory.path().join(FILE_NAME),
            directory.path().join("a").join(FILE_NAME),
        );
        fs::write(&upper, "").unwrap();
        assert_eq!(find_upwards(&deep), Some(upper.clone()));
        fs::write(&lower, "").unwrap();
        assert_eq!(find_upwards(&deep), Some(lower));
        assert_eq!(find_upwards(directory.path()), Some(upper));
    }

    #[test]
    fn the_search_ends() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), "").unwrap();
        let below = |levels: usize| directory.path().join(vec!["d"; levels].join("/"));
        assert!(find_upwards(&below(LEVELS - 1)).is_some());
        assert_eq!(find_upwards(&below(LEVELS)), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join(FILE_NAME);
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert_eq!(find_upwards(directory.path()), Some(link));
    }
}
