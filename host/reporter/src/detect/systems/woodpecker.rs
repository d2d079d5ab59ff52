//! Woodpecker ("Environment variables" in its documentation).

use crate::detect::system::Source::{OutsidePr, Pushed, Var};
use crate::detect::system::System;

pub(super) const WOODPECKER: System = System {
    name: "Woodpecker",
    id: "woodpecker",
    marks: &[&["CI=woodpecker"], &["CI_SYSTEM_NAME=woodpecker"]],
    pipeline: &[Var("CI_REPO")],
    workflow: &[Var("CI_WORKFLOW_NAME")],
    job: &[Var("CI_WORKFLOW_NAME")],
    step: &[Var("CI_STEP_NAME")],
    host: &[Var("CI_SYSTEM_URL"), Var("CI_SYSTEM_HOST")],
    scope: &[Var("CI_REPO"), Var("CI_REPO_URL")],
    run: &[Var("CI_PIPELINE_NUMBER")],
    attempt: &[Var("CI_PIPELINE_RERUNS")],
    repository: &[Var("CI_REPO"), Var("CI_REPO_CLONE_URL"), Var("CI_REPO_URL")],
    sha: &[Var("CI_COMMIT_SHA")],
    pr: &[Var("CI_COMMIT_PULL_REQUEST")],
    is_pr: |job| job.is_one_of("CI_PIPELINE_EVENT", &["pull_request", "pull_request_closed"], false),
    is_push: |job| {
        job.is_one_of("CI_PIPELINE_EVENT", &["push", "tag"], true) && job.get("CI_PIPELINE_RERUNS").is_none()
    },
    url: &[Var("CI_PIPELINE_URL")],
    // Of a pull request the second is the target.
    branch: &[Var("CI_COMMIT_SOURCE_BRANCH"), OutsidePr("CI_COMMIT_BRANCH")],
    tag: &[Var("CI_COMMIT_TAG")],
    email: &[Pushed("CI_COMMIT_AUTHOR_EMAIL")],
    ..System::NONE
};
