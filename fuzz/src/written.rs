//! Places on disk for inputs that are read from there.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A temporary directory for the whole process. `scripts/fuzz.sh` sees to it that it lies in memory, and removes it: nothing in a fuzzer
/// that is stopped gets to do so.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes a directory for its owner alone, and empties it.
///
/// # Panics
/// If it cannot.
pub fn empty(path: &Path) {
    let _ = fs::remove_dir_all(path);
    DirBuilder::new().mode(0o700).create(path).unwrap();
}

/// All files below a directory.
///
/// # Panics
/// If it cannot be listed.
#[must_use]
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}
