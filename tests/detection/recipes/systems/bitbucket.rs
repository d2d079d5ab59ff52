//! Bitbucket Pipelines: scripts and after-scripts.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

macro_rules! step {
    ($($more:expr),*) => {
        &[
            ("CI", "true"),
            ("BITBUCKET_BUILD_NUMBER", "42"),
            ("BITBUCKET_PIPELINE_UUID", "{8f6b6b4e-1ad5-4f3b-8f6b-2f8f1f6f3c11}"),
            ("BITBUCKET_COMMIT", super::COMMIT),
            ("BITBUCKET_BRANCH", "main"),
            ("BITBUCKET_WORKSPACE", "getdx"),
            ("BITBUCKET_REPO_FULL_NAME", "getdx/some_repo"),
            ("BITBUCKET_REPO_SLUG", "some_repo"),
            ("BITBUCKET_GIT_HTTP_ORIGIN", "http://bitbucket.org/getdx/some_repo"),
            ("BITBUCKET_STEP_RUN_NUMBER", "1"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Bitbucket Pipelines",
        jobs: [
            step!(("BITBUCKET_STEP_UUID", "{0d4f2a6b-3c8e-4b7d-9f10-6a5b4c3d2e1f}")),
            step!(("BITBUCKET_STEP_UUID", "{1d4f2a6b-3c8e-4b7d-9f10-6a5b4c3d2e1f}")),
        ],
        start: |secrets| script(secrets, 0, "script"),
        end: |secrets, outcome| match outcome {
            Outcome::Success => [0, 1].map(|step| after(secrets, step, "0")).to_vec(),
            // Nothing runs after a step that failed.
            Outcome::Failure => vec![after(secrets, 0, "2")],
            Outcome::Cancelled => vec![],
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

/// The script at the start of a step: the first or the last one of the file.
pub fn before(secrets: &Secrets, step: usize) -> Script {
    script(secrets, step, "script")
}

/// The script after a step.
pub fn after(secrets: &Secrets, step: usize, exit_code: &str) -> Script {
    script(secrets, step, "after-script").with("BITBUCKET_EXIT_CODE", exit_code)
}

/// The first line of a step's script.
fn script(secrets: &Secrets, step: usize, key: &str) -> Script {
    let file = document("bitbucket/bitbucket-pipelines.yml");
    Script::at(&file, &format!("/pipelines/default/{step}/step/{key}/0")).with_all(secrets.variables())
}
