//! Woodpecker: a first and a last step.

use super::drone::step;
use crate::recipes::{Outcome, Recipe};

const FILE: &str = "woodpecker/build.yaml";

const STEP: &[(&str, &str)] = &[
    ("CI", "woodpecker"),
    ("CI_COMMIT_AUTHOR", "mona"),
    ("CI_COMMIT_BRANCH", "main"),
    ("CI_COMMIT_REF", "refs/heads/main"),
    ("CI_COMMIT_SHA", super::COMMIT),
    ("CI_PIPELINE_EVENT", "push"),
    ("CI_PIPELINE_NUMBER", "42"),
    ("CI_PIPELINE_URL", "https://woodpecker.example.com/repos/7/pipeline/42"),
    ("CI_REPO", "getdx/some_repo"),
    ("CI_SYSTEM_HOST", "woodpecker.example.com"),
    ("CI_SYSTEM_NAME", "woodpecker"),
    ("CI_WORKFLOW_NAME", "build"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Woodpecker",
        jobs: [STEP, STEP],
        start: |secrets| step(secrets, FILE, 0).with("CI_PIPELINE_STATUS", "success"),
        end: |secrets, outcome| {
            if outcome == Outcome::Cancelled {
                return vec![];
            }
            vec![step(secrets, FILE, 2).with("CI_PIPELINE_STATUS", outcome.status())]
        },
        tells_of_cancelling: false,
        needs: None,
    }
}
