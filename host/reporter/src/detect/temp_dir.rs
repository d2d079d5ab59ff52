//! The directory a CI system gives a job for its temporary files.

use std::path::PathBuf;

use crate::source::{Environment, Origin, Sourced};

/// One system's directory.
struct TempDir {
    system: &'static str,
    /// Variables that are all set in each of its jobs, and in no other system's.
    marks: &'static [&'static str],
    variable: &'static str,
    /// The variable with the checkout's directory, which the temporary one must not lie in: what is in there, a pull request may have
    /// written, and a job may publish.
    workspace: &'static str,
}

/// Only systems that document a directory of the job, or of its slot on the runner, which all steps of the job see under one path. A system
/// without one is not here, even if it sets `TMPDIR`.
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

/// The CI system's temporary directory for this job, if there is one: an absolute path that exists and lies outside the checkout. Looks at
/// the file system for no more than that.
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
    // A job's variables are often handed on into a container that has no such directory.
    (!inside && path.is_dir()).then(|| Sourced::new(path, origin))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn each_system_s_own_is_found_and_no_other_s() {
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
    fn one_inside_the_checkout_is_passed_over_and_one_beside_it_is_not() {
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
    fn one_that_is_relative_or_absent_is_passed_over() {
        for path in ["tmp", "/nonexistent/tmp"] {
            let environment = Environment::from_pairs([("GITHUB_ACTIONS", "true"), ("RUNNER_TEMP", path)]);
            assert_eq!(temp_dir(&environment), None, "{path}");
        }
    }
}
