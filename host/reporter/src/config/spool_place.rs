//! The choice of the spool's directory.

use super::variables;
use crate::source::{Environment, Origin, Sourced};
use std::path::{Path, PathBuf};

/// Name of pipefold's directory inside a shared one.
const NAME: &str = "pipefold";

/// The spool's directory, absolute, and the origin of the choice. It need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolPlace {
    /// The directory.
    pub path: PathBuf,
    /// The origin of the choice.
    pub origin: Origin,
}

/// Chooses the spool's directory: the flag, `PIPEFOLD_SPOOL`, the operator's file, the CI system's per-job temporary directory,
/// `$XDG_STATE_HOME` (or `~/.local/state`), the temporary directory; in the last three a directory of pipefold's own.
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
    if let Some(directory) = temp_dir(environment) {
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

/// The part of the directory's name for this user: the effective id, to which files belong.
#[cfg(unix)]
fn user(_: &Environment) -> String {
    rustix::process::geteuid().as_raw().to_string()
}

#[cfg(not(unix))]
fn user(environment: &Environment) -> String {
    let name = environment.get("USERNAME").unwrap_or("user");
    name.chars().filter(|c| c.is_alphanumeric()).take(64).collect()
}

/// The temporary directory of one CI system.
struct TempDir {
    system: &'static str,
    /// Variables that are all set in each of its jobs, and in no other system's.
    marks: &'static [&'static str],
    variable: &'static str,
    /// The variable with the checkout's directory, outside of which the temporary one has to be: a pull request may have written files in
    /// the checkout, and a job may publish them.
    workspace: &'static str,
}

/// Only systems that document a directory of the job, or of its slot on the runner, which all steps of the job see under one path. A system
/// without such a directory is not listed, even if it sets `TMPDIR`.
const TABLE: [TempDir; 4] = [
    // Emptied before and after each job ("Default environment variables" in GitHub's documentation); Gitea and Forgejo do as GitHub.
    TempDir {
        system: "GitHub Actions",
        marks: &["GITHUB_ACTIONS"],
        variable: "RUNNER_TEMP",
        workspace: "GITHUB_WORKSPACE",
    },
    // `<project>.tmp` beside the checkout, made by the runner, on the volume that `script` and `after_script` share.
    TempDir {
        system: "GitLab CI",
        marks: &["GITLAB_CI"],
        variable: "RUNNER_TEMP_PROJECT_DIR",
        workspace: "CI_PROJECT_DIR",
    },
    // Emptied after each job ("Predefined variables", Agent.TempDirectory, in Azure's documentation).
    TempDir {
        system: "Azure Pipelines",
        marks: &["TF_BUILD"],
        variable: "AGENT_TEMPDIRECTORY",
        workspace: "BUILD_SOURCESDIRECTORY",
    },
    // `<workspace>@tmp` beside the workspace, mounted into the containers of a build, too (JENKINS-60634). JENKINS_URL may be unset.
    TempDir {
        system: "Jenkins",
        marks: &["BUILD_TAG", "JOB_NAME"],
        variable: "WORKSPACE_TMP",
        workspace: "WORKSPACE",
    },
];

/// The CI system's temporary directory for this job, if there is one: an absolute path that exists and lies outside the checkout. Reads the
/// file system only to check that it exists.
#[must_use]
pub fn temp_dir(environment: &Environment) -> Option<Sourced<PathBuf>> {
    let entry = TABLE
        .iter()
        .find(|entry| entry.marks.iter().all(|mark| environment.get_os(mark).is_some()))?;
    let path = environment.absolute_path(entry.variable)?;
    let inside = environment
        .absolute_path(entry.workspace)
        .is_some_and(|workspace| path.starts_with(workspace));
    let origin = Origin::Detected {
        system: entry.system,
        variable: entry.variable,
    };
    // A job's variables are often passed into a container without that directory.
    (!inside && path.is_dir()).then(|| Sourced::new(path, origin))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
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
    fn empty_paths_are_absent_and_relative_ones_are_from_cwd() {
        let pairs = [("PIPEFOLD_SPOOL", ""), ("XDG_STATE_HOME", "/state")];
        assert_eq!(decide(&pairs, Some(""), None).0, "/state/pipefold");
        assert_eq!(decide(&pairs, Some("spool"), None).0, "/build/spool");
        assert_eq!(decide(&[("PIPEFOLD_SPOOL", "s")], None, None).0, "/build/s");
        let relative = [("XDG_STATE_HOME", "state"), ("TMPDIR", "/temporary")];
        assert!(decide(&relative, None, None).0.starts_with("/temporary/pipefold-"));
    }

    #[test]
    fn an_unusable_home_is_skipped() {
        for home in ["/", "/nonexistent", "home"] {
            let place = decide(&[("HOME", home), ("TMPDIR", "/temporary")], None, None).0;
            assert!(place.starts_with("/temporary/pipefold-"), "{home}: {place}");
        }
    }

    #[test]
    fn each_systems_directory_is_found() {
        let directory = tempfile::tempdir().unwrap();
        for entry in &TABLE {
            let marks = || entry.marks.iter().map(|mark| (*mark, "x".into()));
            let variable = (entry.variable, directory.path().as_os_str().to_owned());
            let found = temp_dir(&marks().chain([variable.clone()]).map(|(n, v)| (n.into(), v)).collect());
            let found = found.unwrap();
            assert_eq!(found.value, directory.path());
            assert_eq!(
                found.origin.to_string(),
                format!("{} of {}", entry.variable, entry.system)
            );
            assert_eq!(
                temp_dir(&Environment::from_pairs([variable])),
                None,
                "{} unmarked",
                entry.system
            );
            assert_eq!(
                temp_dir(&Environment::from_pairs(marks())),
                None,
                "{} unset",
                entry.system
            );
        }
    }

    #[test]
    fn a_directory_inside_the_checkout_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let (workspace, beside) = (directory.path().join("job"), directory.path().join("job@tmp"));
        let inside = workspace.join("tmp");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir(&beside).unwrap();
        let decide = |path: &PathBuf| {
            let path = path.to_str().unwrap();
            let workspace = workspace.to_str().unwrap();
            temp_dir(&Environment::from_pairs([
                ("BUILD_TAG", "jenkins-job-1"),
                ("JOB_NAME", "job"),
                ("WORKSPACE", workspace),
                ("WORKSPACE_TMP", path),
            ]))
            .map(|found| found.value)
        };
        assert_eq!(decide(&beside), Some(beside.clone()));
        assert_eq!(decide(&inside), None);
    }

    #[test]
    fn a_relative_or_missing_directory_is_skipped() {
        for path in ["tmp", "/nonexistent/tmp"] {
            let environment = Environment::from_pairs([("GITHUB_ACTIONS", "true"), ("RUNNER_TEMP", path)]);
            assert_eq!(temp_dir(&environment), None, "{path}");
        }
    }
}
