//! Finding the binaries under test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The path of a binary of this workspace, such as `pipefold` or `dx-standin`.
///
/// `pipefold` is the command as packages have it, with the default component's compiled code in it: without, each of thousands of
/// processes would compile it.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static EMBEDDED: OnceLock<PathBuf> = OnceLock::new();
    match name {
        "pipefold" => EMBEDDED.get_or_init(|| embedded(&built(name))).clone(),
        _ => built(name),
    }
}

/// The path of a binary as cargo built it.
///
/// It belongs to another package than the tests, so cargo names it in no variable; but it lies in the directory of the profile, above the
/// one with the tests' own executables.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn built(name: &str) -> PathBuf {
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

/// The command with compiled code in it, made if it is missing or was made from another build. It has the time of the build that it was
/// made from, which is looked at last and set first, as test programs may run at the same time.
fn embedded(command: &Path) -> PathBuf {
    let directory = command.with_file_name("embedded");
    let output = directory.join(command.file_name().expect("the command has a name"));
    let time = modified(command).expect("the command was found");
    if modified(&output) == Some(time) {
        return output;
    }
    fs::create_dir_all(&directory).expect("a directory beside the command can be made");
    let aside = directory.join(format!("pipefold.{}", std::process::id()));
    let embed = Command::new(command)
        .args(["component", "embed"])
        .args([command, &aside])
        .output()
        .expect("the command starts");
    assert!(embed.status.success(), "{}", String::from_utf8_lossy(&embed.stderr));
    let file = File::options().append(true).open(&aside);
    file.and_then(|file| file.set_modified(time))
        .and_then(|()| fs::rename(&aside, &output))
        .expect("the command with its code can be put in place");
    output
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}
