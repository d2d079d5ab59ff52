//! Jenkins: the step of a shared library.

use crate::recipes::{Outcome, Recipe, Script, Secrets, blocks};

/// The variables that Jenkins sets in a stage of a multibranch build.
pub const BUILD: &[(&str, &str)] = &[
    ("BRANCH_NAME", "main"),
    ("BUILD_ID", "42"),
    ("BUILD_NUMBER", "42"),
    ("BUILD_TAG", "jenkins-getdx-some_repo-main-42"),
    (
        "BUILD_URL",
        "https://jenkins.example.com/job/getdx/job/some_repo/job/main/42/",
    ),
    ("GIT_BRANCH", "main"),
    ("GIT_COMMIT", super::COMMIT),
    ("GIT_URL", "https://github.com/getdx/some_repo.git"),
    ("JENKINS_URL", "https://jenkins.example.com/"),
    ("JOB_NAME", "getdx/some_repo/main"),
    ("STAGE_NAME", "build"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Jenkins",
        jobs: [BUILD, BUILD],
        start: |secrets| step(secrets).with("DX_MOMENT", "start").with("DX_RESULT", "SUCCESS"),
        end: |secrets, outcome| {
            vec![
                step(secrets)
                    .with("DX_MOMENT", "finish")
                    .with("DX_RESULT", result(outcome)),
            ]
        },
        tells_of_cancelling: true,
        needs: None,
    }
}

/// Jenkins' name of the outcome.
pub fn result(outcome: Outcome) -> &'static str {
    outcome.of(["SUCCESS", "UNSTABLE", "ABORTED"])
}

fn step(secrets: &Secrets) -> Script {
    let text = blocks("jenkins/vars/pipefold.groovy").remove(0);
    Script {
        text,
        ..Script::default()
    }
    .with_all(secrets.variables())
}
