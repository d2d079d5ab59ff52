//! Prow ("Job Environment Variables" in its documentation).

use super::jenkins::owned_repository;
use crate::detect::systems::Source::{By, OutsidePr, Unmerged, Var};
use crate::detect::systems::System;

pub const PROW: System = System {
    name: "Prow",
    id: "prow",
    reference: "https://docs.prow.k8s.io/docs/jobs/#job-environment-variables",
    marks: &[&["PROW_JOB_ID"]],
    pipeline: &[Var("JOB_NAME")],
    // A UUID, and another one when the job is run again.
    run: &[Var("PROW_JOB_ID")],
    scope: &[By("`REPO_OWNER` and `REPO_NAME`", owned_repository), Var("JOB_NAME")],
    repository: &[By("`REPO_OWNER` and `REPO_NAME`", owned_repository)],
    sha: &[Var("PULL_PULL_SHA"), Unmerged("PULL_BASE_SHA")],
    pr: &[Var("PULL_NUMBER")],
    is_pr: |job| job.is_one_of("JOB_TYPE", &["presubmit", "batch"], false),
    branch: &[Var("PULL_HEAD_REF"), OutsidePr("PULL_BASE_REF")],
    left_out: &[
        (
            "the page of the run",
            "no variable gives it, and each installation has its own",
        ),
        ("`PULL_BASE_SHA` of a pull request", "it is the target"),
        ("the commits of a batch", "it tests several pull requests at once"),
    ],
    ..System::NONE
};
