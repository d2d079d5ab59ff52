//! Drone ("Environment reference" in its documentation), and Harness, which sets Drone's variables and some of its own
//! ("CI environment variables reference").

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Pushed, Var};
use crate::detect::systems::{Found, System};

pub const DRONE: System = System {
    name: "Drone",
    id: "drone",
    reference: "https://docs.drone.io/pipeline/environment/reference/",
    marks: &[&["DRONE"], &["DRONE_BUILD_NUMBER"]],
    pipeline: &[Var("DRONE_REPO")],
    workflow: &[Var("DRONE_STAGE_NAME")],
    job: &[Var("DRONE_STAGE_NAME")],
    step: &[Var("DRONE_STEP_NAME")],
    host: &[Var("DRONE_SYSTEM_HOSTNAME"), Var("DRONE_SYSTEM_HOST")],
    scope: &[
        Var("DRONE_REPO"),
        Address("DRONE_GIT_HTTP_URL"),
        Address("DRONE_REMOTE_URL"),
        Address("DRONE_GIT_SSH_URL"),
    ],
    // A restart has a new one.
    run: &[Var("DRONE_BUILD_NUMBER")],
    repository: &[
        Var("DRONE_REPO"),
        Address("DRONE_GIT_HTTP_URL"),
        Address("DRONE_REMOTE_URL"),
        Address("DRONE_GIT_SSH_URL"),
    ],
    sha: &[Var("DRONE_COMMIT_SHA"), Var("DRONE_COMMIT")],
    pr: &[Var("DRONE_PULL_REQUEST")],
    is_pr: |job| job.is_one_of("DRONE_BUILD_EVENT", &["pull_request"], false),
    is_push: |job| {
        job.is_one_of("DRONE_BUILD_EVENT", &["push", "tag"], true) && job.get("DRONE_BUILD_PARENT").is_none()
    },
    url: &[Var("DRONE_BUILD_LINK")],
    branch: &[
        Var("DRONE_SOURCE_BRANCH"),
        OutsidePr("DRONE_BRANCH"),
        By(
            "`DRONE_BRANCH`, if it is not `DRONE_TARGET_BRANCH`",
            branch_of_no_target,
        ),
    ],
    tag: &[Var("DRONE_TAG")],
    email: &[Pushed("DRONE_COMMIT_AUTHOR_EMAIL")],
    left_out: &[
        ("`DRONE_BRANCH` of a pull request", "it is the target"),
        ("an attempt", "a build that is restarted has a number of its own"),
    ],
    ..System::NONE
};

pub const HARNESS: System = System {
    name: "Harness",
    id: "harness",
    reference: "https://developer.harness.io/docs/continuous-integration/troubleshoot-ci/ci-env-var",
    marks: &[&["HARNESS_BUILD_ID"], &["HARNESS_EXECUTION_ID"]],
    pipeline: &[Var("HARNESS_PIPELINE_ID")],
    workflow: &[Var("HARNESS_PIPELINE_ID")],
    job: &[Var("HARNESS_STAGE_ID"), Var("DRONE_STAGE_NAME")],
    host: &[Var("HARNESS_ACCOUNT_ID")],
    scope: &[By(
        "`HARNESS_ORG_ID`, `HARNESS_PROJECT_ID` and `HARNESS_PIPELINE_ID`",
        harness_pipeline,
    )],
    run: &[Var("HARNESS_EXECUTION_ID"), Var("HARNESS_BUILD_ID")],
    url: &[Var("CI_BUILD_LINK"), Var("DRONE_BUILD_LINK")],
    ..DRONE
};

/// Of a pull request DRONE_BRANCH is the target, as DRONE_TARGET_BRANCH is; where they differ it is not.
fn branch_of_no_target(job: &Job<'_>) -> Option<Found> {
    let target = job.get("DRONE_TARGET_BRANCH")?;
    job.found("DRONE_BRANCH").filter(|found| found.value != target)
}

/// The pipeline with what it lies in: organisation and project.
fn harness_pipeline(job: &Job<'_>) -> Option<Found> {
    let pipeline = job.get("HARNESS_PIPELINE_ID")?;
    let within = ["HARNESS_ORG_ID", "HARNESS_PROJECT_ID"]
        .into_iter()
        .filter_map(|name| job.get(name));
    let path: Vec<&str> = within.chain([pipeline]).collect();
    Some(job.made(path.join("/"), "HARNESS_PIPELINE_ID"))
}
