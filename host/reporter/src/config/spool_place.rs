//! Where the spool lies.

use std::path::{Path, PathBuf};

use super::{Environment, Origin, Sourced, variables};
use crate::detect;

/// Name of our directory inside one that others use too.
const NAME: &str = "pipefold";

/// The spool's directory, absolute, and what decided it. It need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolPlace {
    /// The directory.
    pub path: PathBuf,
    /// What decided it.
    pub origin: Origin,
}

/// Decides where the spool lies: the flag, `PIPEFOLD_SPOOL`, the operator's file, the CI system's per-job temporary directory,
/// `$XDG_STATE_HOME` (or `~/.local/state`), the temporary directory; in the last three in a directory of our own.
///
/// A relative path of the flag or the variable is taken from `cwd`, which is absolute. A home directory that is `/` or does not
/// exist, as containers with a made-up user have, counts as none.
#[must_use]
pub fn spool_place(
    environment: &Environment,
    flag: Option<&Path>,
    file: Option<&Sourced<PathBuf>>,
    cwd: &Path,
) -> SpoolPlace {
    let place = |path: PathBuf, origin| SpoolPlace { path, origin };
    if let Some(path) = flag.filter(|path| !path.as_os_str().is_empty()) {
        return place(cwd.join(path), Origin::Flag("--spool"));
    }
    if let Some(path) = environment.get_os(variables::SPOOL) {
        return place(cwd.join(path), Origin::Variable(variables::SPOOL));
    }
    if let Some(file) = file {
        return place(cwd.join(&file.value), file.origin.clone());
    }
    if let Some(directory) = detect::temp_dir(environment) {
        return place(directory.value.join(NAME), directory.origin);
    }
    if let Some(state) = environment.absolute_path("XDG_STATE_HOME") {
        return place(state.join(NAME), Origin::Session("XDG_STATE_HOME"));
    }
    if let Some(home) = environment.absolute_path("HOME")
        && home.parent().is_some()
        && home.is_dir()
    {
        return place(home.join(".local/state").join(NAME), Origin::Session("HOME"));
    }
    let (temporary, origin) = temporary_directory(environment);
    place(temporary.join(format!("{NAME}-{}", user(environment))), origin)
}

/// The directory that `std::env::temp_dir` would give for this environment.
fn temporary_directory(environment: &Environment) -> (PathBuf, Origin) {
    let names: &[&'static str] = if cfg!(windows) { &["TMP", "TEMP"] } else { &["TMPDIR"] };
    let given = names
        .iter()
        .find_map(|name| Some((environment.absolute_path(name)?, Origin::Session(name))));
    given.unwrap_or_else(|| {
        let fallback = if cfg!(windows) { "C:\\Windows\\Temp" } else { "/tmp" };
        (PathBuf::from(fallback), Origin::Default)
    })
}

/// The id that distinguishes this user's directory: files belong to the effective id.
#[cfg(unix)]
fn user(_: &Environment) -> String {
    rustix::process::geteuid().as_raw().to_string()
}

#[cfg(not(unix))]
fn user(environment: &Environment) -> String {
    let name = environment.get("USERNAME").unwrap_or("user");
    name.chars().filter(|c| c.is_alphanumeric()).take(64).collect()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn decide(pairs: &[(&str, &str)], flag: Option<&str>, file: Option<&Sourced<PathBuf>>) -> (String, String) {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let place = spool_place(&environment, flag.map(Path::new), file, Path::new("/build"));
        (place.path.display().to_string(), place.origin.to_string())
    }

    #[test]
    fn each_place_beats_the_next() {
        let (job, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (job, home) = (job.path().to_str().unwrap(), home.path().to_str().unwrap());
        let file = Sourced::new(
            PathBuf::from("/file"),
            Origin::File {
                path: "/etc/pipefold.toml".into(),
                key: "spool".into(),
            },
        );
        let all = [
            ("PIPEFOLD_SPOOL", "/variable"),
            ("GITHUB_ACTIONS", "true"),
            ("RUNNER_TEMP", job),
            ("XDG_STATE_HOME", "/state"),
            ("HOME", home),
            ("TMPDIR", "/temporary"),
        ];
        let uid = rustix::process::geteuid().as_raw();
        let expect = |pairs: &[_], flag, file, path: String, origin: &str| {
            assert_eq!(decide(pairs, flag, file), (path, origin.to_owned()));
        };
        expect(&all, Some("/flag"), Some(&file), "/flag".into(), "--spool");
        expect(&all, None, Some(&file), "/variable".into(), "PIPEFOLD_SPOOL");
        expect(
            &all[1..],
            None,
            Some(&file),
            "/file".into(),
            "spool in /etc/pipefold.toml",
        );
        expect(
            &all[1..],
            None,
            None,
            format!("{job}/pipefold"),
            "RUNNER_TEMP of GitHub Actions",
        );
        expect(&all[3..], None, None, "/state/pipefold".into(), "XDG_STATE_HOME");
        expect(&all[4..], None, None, format!("{home}/.local/state/pipefold"), "HOME");
        expect(&all[5..], None, None, format!("/temporary/pipefold-{uid}"), "TMPDIR");
        expect(&[], None, None, format!("/tmp/pipefold-{uid}"), "the default");
    }

    #[test]
    fn an_empty_word_is_none_and_a_relative_one_is_from_the_working_directory() {
        let pairs = [("PIPEFOLD_SPOOL", ""), ("XDG_STATE_HOME", "/state")];
        assert_eq!(decide(&pairs, Some(""), None).0, "/state/pipefold");
        assert_eq!(decide(&pairs, Some("spool"), None).0, "/build/spool");
        assert_eq!(decide(&[("PIPEFOLD_SPOOL", "s")], None, None).0, "/build/s");
        let relative = [("XDG_STATE_HOME", "state"), ("TMPDIR", "/temporary")];
        assert!(decide(&relative, None, None).0.starts_with("/temporary/pipefold-"));
    }

    #[test]
    fn a_home_that_is_none_is_passed_over() {
        for home in ["/", "/nonexistent", "home"] {
            let place = decide(&[("HOME", home), ("TMPDIR", "/temporary")], None, None).0;
            assert!(place.starts_with("/temporary/pipefold-"), "{home}: {place}");
        }
    }
}
