//! CircleCI: two commands.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

macro_rules! job {
    ($($more:expr),*) => {
        &[
            ("CI", "true"),
            ("CIRCLECI", "true"),
            ("CIRCLE_BRANCH", "main"),
            ("CIRCLE_PIPELINE_ID", "b505edf1-0000-4e46-a447-be1a25e1a3b5"),
            ("CIRCLE_PROJECT_REPONAME", "some_repo"),
            ("CIRCLE_PROJECT_USERNAME", "getdx"),
            ("CIRCLE_REPOSITORY_URL", "git@github.com:getdx/some_repo.git"),
            ("CIRCLE_SHA1", super::COMMIT),
            ("CIRCLE_USERNAME", "mona"),
            ("CIRCLE_WORKFLOW_ID", "b505edf1-8d7f-4e46-a447-be1a25e1a3b5"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "CircleCI",
        jobs: [
            job!(("CIRCLE_JOB", "build"), ("CIRCLE_BUILD_NUM", "41")),
            job!(("CIRCLE_JOB", "test"), ("CIRCLE_BUILD_NUM", "42")),
        ],
        start: |secrets| command(secrets, "/pipefold_start/steps/0/run"),
        end: |secrets, outcome| match outcome {
            Outcome::Success => vec![command(secrets, "/pipefold_finish/steps/0/when/steps/0/run")],
            Outcome::Failure => vec![command(secrets, "/pipefold_finish/steps/1/run")],
            Outcome::Cancelled => vec![],
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

fn command(secrets: &Secrets, run: &str) -> Script {
    let file = document("circleci/config.yml");
    Script::at(&file["commands"], &format!("{run}/command")).with_all(secrets.variables())
}
