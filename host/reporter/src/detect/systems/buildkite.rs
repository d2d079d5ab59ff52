//! Buildkite ("Environment variables" in its documentation).

use crate::detect::system::Source::{Address, Pushed, Var};
use crate::detect::system::System;

pub(super) const BUILDKITE: System = System {
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
    sha: &[Var("BUILDKITE_COMMIT")],
    pr: &[Var("BUILDKITE_PULL_REQUEST")],
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
