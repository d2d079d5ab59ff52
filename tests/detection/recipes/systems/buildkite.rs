//! Buildkite: two hooks of the agent.

use crate::recipes::{Recipe, Script, Secrets, blocks};

macro_rules! job {
    ($($more:expr),*) => {
        &[
            ("CI", "true"),
            ("BUILDKITE", "true"),
            ("BUILDKITE_ORGANIZATION_SLUG", "getdx"),
            ("BUILDKITE_PIPELINE_SLUG", "some-repo"),
            ("BUILDKITE_PIPELINE_NAME", "Some repo"),
            ("BUILDKITE_BUILD_ID", "0191a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"),
            ("BUILDKITE_BUILD_NUMBER", "42"),
            ("BUILDKITE_BUILD_URL", "https://buildkite.com/getdx/some-repo/builds/42"),
            ("BUILDKITE_REPO", "git@github.com:getdx/some_repo.git"),
            ("BUILDKITE_COMMIT", super::COMMIT),
            ("BUILDKITE_BRANCH", "main"),
            ("BUILDKITE_PULL_REQUEST", "false"),
            ("BUILDKITE_RETRY_COUNT", "0"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Buildkite",
        jobs: [
            job!(
                ("BUILDKITE_JOB_ID", "0191a1b2-0000-4e5f-8a9b-0c1d2e3f4a5b"),
                ("BUILDKITE_STEP_KEY", "build"),
                ("BUILDKITE_LABEL", ":hammer: build")
            ),
            job!(
                ("BUILDKITE_JOB_ID", "0191a1b2-1111-4e5f-8a9b-0c1d2e3f4a5b"),
                ("BUILDKITE_STEP_KEY", "test"),
                ("BUILDKITE_LABEL", "test")
            ),
        ],
        start: |secrets| hook(secrets, "pre-command"),
        end: |secrets, outcome| {
            let script = hook(secrets, "pre-exit");
            let script = script.with("BUILDKITE_COMMAND_EXIT_STATUS", outcome.of(["0", "2", "-1"]));
            vec![outcome.of([
                script.clone(),
                script.clone(),
                script.with("BUILDKITE_JOB_CANCELLED", "true"),
            ])]
        },
        tells_of_cancelling: true,
        needs: None,
    }
}

fn hook(secrets: &Secrets, name: &str) -> Script {
    let text = blocks(&format!("buildkite/hooks/{name}")).remove(0);
    Script {
        text,
        ..Script::default()
    }
    .with_all(secrets.variables())
}
