//! Captured data from outside the repository, and tests that cannot run everywhere.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package lies inside the workspace")
}

/// A file or directory of captured data: below `PIPEFOLD_FIXTURES`, else `../shared/fixtures` beside the workspace. None if it is absent.
#[must_use]
pub fn fixtures(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PIPEFOLD_FIXTURES")
        .map_or_else(|| workspace_root().join("../shared/fixtures"), PathBuf::from);
    let path = root.join(path);
    path.exists().then_some(path)
}

/// Reports that a test, or a part of one, could not run on this machine, in the form that is counted. Past the test harness, which would keep
/// it from being seen.
pub fn skipped(name: &str, why: &str) {
    // A failure to write cannot be reported either.
    let _ = writeln!(std::io::stdout(), "skipped: {name}: {why}");
}
