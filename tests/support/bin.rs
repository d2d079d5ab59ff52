//! Finding the binaries under test.

use std::path::PathBuf;

/// The path of a binary of this workspace, such as `pipefold` or `dx-standin`.
///
/// It belongs to another package than the tests, so cargo names it in no variable; but it lies in the directory of the profile, above the
/// one with the tests' own executables.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the system tells a process's own executable");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let found = tests
        .ancestors()
        .skip(1)
        .take(3)
        .map(|directory| directory.join(&file))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "there is no {file} beside {}: run the tests with `cargo test --workspace`, which builds it",
            tests.display()
        )
    })
}
