//! Buildkite ("Environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Pushed, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{PullRequestRef, pull_request_of_ref};

pub const BUILDKITE: System = System {
    name: "Buildkite",
    id: "buildkite",
    reference: "https://buildkite.com/docs/pipelines/configure/environment-variables",
    marks: &[&["BUILDKITE"], &["BUILDKITE_BUILD_ID"]],
    pipeline: &[Var("BUILDKITE_PIPELINE_SLUG"), Var("BUILDKITE_PIPELINE_NAME")],
    workflow: &[Var("BUILDKITE_PIPELINE_NAME")],
    job: &[Var("BUILDKITE_LABEL"), Var("BUILDKITE_STEP_KEY")],
    host: &[Var("BUILDKITE_ORGANIZATION_SLUG")],
    scope: &[Var("BUILDKITE_PIPELINE_SLUG"), Address("BUILDKITE_REPO")],
    // A rebuild has a new one. A retried job keeps it, and so meets the others.
    run: &[Var("BUILDKITE_BUILD_ID")],
    repository: &[Address("BUILDKITE_REPO")],
    sha: &[Unmerged("BUILDKITE_COMMIT")],
    pr: &[
        Var("BUILDKITE_PULL_REQUEST"),
        By(
            "`BUILDKITE_BRANCH`, if it is a ref such as `refs/pull/7/head`",
            number_of_ref,
        ),
    ],
    // Of a pull request's own build it is the head.
    is_merge: |job| built_ref(job).is_some_and(|pull_request| pull_request.is_merge),
    is_push: |job| {
        job.is_one_of("BUILDKITE_SOURCE", &["webhook"], true) && job.get("BUILDKITE_REBUILT_FROM_BUILD_ID").is_none()
    },
    url: &[Var("BUILDKITE_BUILD_URL")],
    branch: &[Var("BUILDKITE_BRANCH")],
    tag: &[Var("BUILDKITE_TAG")],
    email: &[
        Var("BUILDKITE_BUILD_CREATOR_EMAIL"),
        Pushed("BUILDKITE_BUILD_AUTHOR_EMAIL"),
    ],
    left_out: &[
        (
            "`BUILDKITE_COMMIT` of `refs/pull/7/merge`",
            "it is a trial merge that is on no branch",
        ),
        (
            "`BUILDKITE_RETRY_COUNT`",
            "it counts the tries of one job: the jobs behind it have the number 0, and the build would fall apart",
        ),
        (
            "`BUILDKITE_COMMIT`, if it is `HEAD`",
            "the commit is not known before the checkout",
        ),
        (
            "`BUILDKITE_PULL_REQUEST_REPO`",
            "it is where the commits come from; the number is of `BUILDKITE_REPO`",
        ),
    ],
    ..System::NONE
};

/// The ref of a pull request that someone started a build of by hand.
fn built_ref<'j>(job: &'j Job<'_>) -> Option<PullRequestRef<'j>> {
    pull_request_of_ref(job.get("BUILDKITE_BRANCH")?)
}

fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    Some(job.made(built_ref(job)?.number, "BUILDKITE_BRANCH"))
}
