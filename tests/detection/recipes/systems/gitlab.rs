//! GitLab CI: scripts before and after a job, and jobs of the last stage.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

const FILE: &str = "gitlab/pipefold.gitlab-ci.yml";

macro_rules! job {
    ($($more:expr),*) => {
        &[
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_COMMIT_REF_NAME", "main"),
            ("CI_COMMIT_SHA", super::COMMIT),
            ("CI_PIPELINE_ID", "1000042"),
            ("CI_PIPELINE_IID", "42"),
            ("CI_PIPELINE_SOURCE", "push"),
            ("CI_PIPELINE_URL", "https://gitlab.example.com/getdx/some_repo/-/pipelines/1000042"),
            ("CI_PROJECT_PATH", "getdx/some_repo"),
            ("CI_PROJECT_URL", "https://gitlab.example.com/getdx/some_repo"),
            ("CI_SERVER_HOST", "gitlab.example.com"),
            ("CI_SERVER_URL", "https://gitlab.example.com"),
            ("GITLAB_USER_EMAIL", "mona@example.com"),
            ("GITLAB_USER_LOGIN", "mona"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "GitLab CI",
        jobs: [
            job!(
                ("CI_JOB_ID", "5001"),
                ("CI_JOB_NAME", "test 1/2"),
                ("CI_JOB_STAGE", "test")
            ),
            job!(
                ("CI_JOB_ID", "5002"),
                ("CI_JOB_NAME", "pipefold-success"),
                ("CI_JOB_STAGE", ".post")
            ),
        ],
        start: |secrets| script(secrets, "/default/before_script/0"),
        end: |secrets, outcome| match outcome {
            Outcome::Success => vec![after_script(secrets, "success"), post(secrets, "success")],
            Outcome::Failure => vec![after_script(secrets, "failed"), post(secrets, "failure")],
            Outcome::Cancelled => vec![after_script(secrets, "canceled")],
        },
        tells_of_cancelling: true,
        needs: None,
    }
}

/// The script after a job's own.
pub fn after_script(secrets: &Secrets, status: &str) -> Script {
    script(secrets, "/default/after_script/0").with("CI_JOB_STATUS", status)
}

/// The job of the last stage that runs when all before it passed, or one failed.
pub fn post(secrets: &Secrets, status: &str) -> Script {
    let file = document(FILE);
    let job = &file[format!("pipefold-{status}")];
    assert_eq!(job["extends"], ".pipefold-finish");
    let own = job["variables"]["DX_STATUS"].as_str().unwrap();
    script(secrets, "/.pipefold-finish/script/0").with("DX_STATUS", own)
}

fn script(secrets: &Secrets, pointer: &str) -> Script {
    Script::at(&document(FILE), pointer).with_all(secrets.variables())
}
