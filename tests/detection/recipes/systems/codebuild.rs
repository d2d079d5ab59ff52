//! AWS CodeBuild: two phases of a build.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

/// The variables that CodeBuild sets in a build.
const BUILD: &[(&str, &str)] = &[
    ("AWS_REGION", "eu-west-1"),
    (
        "CODEBUILD_BUILD_ARN",
        "arn:aws:codebuild:eu-west-1:123456789012:build/some_repo:b1946ac9-2a4f-4c9e-8b1d-0c9d8e7f6a5b",
    ),
    ("CODEBUILD_BUILD_ID", "some_repo:b1946ac9-2a4f-4c9e-8b1d-0c9d8e7f6a5b"),
    ("CODEBUILD_BUILD_NUMBER", "42"),
    ("CODEBUILD_INITIATOR", "GitHub-Hookshot/8af23"),
    ("CODEBUILD_RESOLVED_SOURCE_VERSION", super::COMMIT),
    ("CODEBUILD_SOURCE_REPO_URL", "https://github.com/getdx/some_repo.git"),
    ("CODEBUILD_SOURCE_VERSION", super::COMMIT),
    ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/main"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "AWS CodeBuild",
        jobs: [BUILD, BUILD],
        start: |secrets| phase(secrets, "build"),
        end: |secrets, outcome| match outcome {
            Outcome::Cancelled => vec![],
            _ => vec![phase(secrets, "post_build").with("CODEBUILD_BUILD_SUCCEEDING", outcome.of(["1", "0", "0"]))],
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

fn phase(secrets: &Secrets, name: &str) -> Script {
    let file = document("codebuild/buildspec.yml");
    Script::at(&file, &format!("/phases/{name}/commands/0")).with_all(secrets.variables())
}
