//! Bitrise ("Available environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Pushed, Var};
use crate::detect::systems::{Found, System};

pub const BITRISE: System = System {
    name: "Bitrise",
    id: "bitrise",
    reference: "https://docs.bitrise.io/en/bitrise-ci/references/available-environment-variables.html",
    marks: &[&["BITRISE_BUILD_SLUG"], &["BITRISE_BUILD_URL"], &["BITRISE_IO"]],
    pipeline: &[Var("BITRISEIO_PIPELINE_TITLE"), Var("BITRISE_TRIGGERED_WORKFLOW_ID")],
    workflow: &[Var("BITRISE_TRIGGERED_WORKFLOW_ID")],
    job: &[Var("BITRISE_TRIGGERED_WORKFLOW_ID")],
    scope: &[
        Var("BITRISE_APP_SLUG"),
        Address("GIT_REPOSITORY_URL"),
        Var("BITRISE_TRIGGERED_WORKFLOW_ID"),
    ],
    // A pipeline's workflows are builds of their own, which the first has in common.
    run: &[
        Var("BITRISEIO_PIPELINE_ID"),
        Var("BITRISE_BUILD_SLUG"),
        Var("BITRISE_BUILD_NUMBER"),
    ],
    repository: &[
        Address("GIT_REPOSITORY_URL"),
        By(
            "`BITRISEIO_GIT_REPOSITORY_OWNER` and `BITRISEIO_GIT_REPOSITORY_SLUG`",
            owned,
        ),
    ],
    sha: &[Var("BITRISE_GIT_COMMIT"), Var("GIT_CLONE_COMMIT_HASH")],
    pr: &[Var("BITRISE_PULL_REQUEST")],
    is_push: |job| job.is_one_of("BITRISE_TRIGGER_METHOD", &["webhook"], true),
    url: &[Var("BITRISE_BUILD_URL")],
    branch: &[Var("BITRISE_GIT_BRANCH")],
    tag: &[Var("BITRISE_GIT_TAG")],
    email: &[Pushed("GIT_CLONE_COMMIT_AUTHOR_EMAIL")],
    left_out: &[("an attempt", "a rebuild has an id of its own")],
    ..System::NONE
};

fn owned(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (
        job.get("BITRISEIO_GIT_REPOSITORY_OWNER")?,
        job.get("BITRISEIO_GIT_REPOSITORY_SLUG")?,
    );
    Some(job.made(format!("{owner}/{name}"), "BITRISEIO_GIT_REPOSITORY_SLUG"))
}
