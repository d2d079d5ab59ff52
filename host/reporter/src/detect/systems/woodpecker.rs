//! Woodpecker ("Environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Pushed, Var};
use crate::detect::systems::{Found, System};

pub const WOODPECKER: System = System {
    name: "Woodpecker",
    id: "woodpecker",
    reference: "https://woodpecker-ci.org/docs/usage/environment",
    marks: &[&["CI=woodpecker"], &["CI_SYSTEM_NAME=woodpecker"]],
    pipeline: &[Var("CI_REPO")],
    workflow: &[Var("CI_WORKFLOW_NAME")],
    job: &[Var("CI_WORKFLOW_NAME")],
    step: &[Var("CI_STEP_NAME")],
    host: &[Var("CI_SYSTEM_URL"), Var("CI_SYSTEM_HOST")],
    scope: &[Var("CI_REPO"), Address("CI_REPO_URL")],
    run: &[
        By("`CI_PIPELINE_NUMBER`, unless it is 0", number),
        By("the number at the end of `CI_PIPELINE_URL`", number_of_page),
        By("`CI_PIPELINE_CREATED`", created),
    ],
    attempt: &[Var("CI_PIPELINE_RERUNS")],
    repository: &[Var("CI_REPO"), Address("CI_REPO_CLONE_URL"), Address("CI_REPO_URL")],
    sha: &[Var("CI_COMMIT_SHA")],
    pr: &[Var("CI_COMMIT_PULL_REQUEST")],
    is_pr: |job| job.is_one_of("CI_PIPELINE_EVENT", &["pull_request", "pull_request_closed"], false),
    is_push: |job| job.is_one_of("CI_PIPELINE_EVENT", &["push", "tag"], true) && !is_again(job),
    url: &[Var("CI_PIPELINE_URL")],
    // Of a pull request the second is the target.
    branch: &[Var("CI_COMMIT_SOURCE_BRANCH"), OutsidePr("CI_COMMIT_BRANCH")],
    tag: &[Var("CI_COMMIT_TAG")],
    email: &[Pushed("CI_COMMIT_AUTHOR_EMAIL")],
    left_out: &[
        ("`CI_COMMIT_BRANCH` of a pull request", "it is the target"),
        (
            "`CI_COMMIT_AUTHOR_EMAIL` of a pipeline that was restarted",
            "its author did not start it",
        ),
        (
            "a `CI_PIPELINE_NUMBER` of 0",
            "no pipeline has that number, and all runs would be one record",
        ),
    ],
    ..System::NONE
};

/// Restarted; older servers say that by the parent alone, which is 0 for a pipeline that has none.
fn is_again(job: &Job<'_>) -> bool {
    ["CI_PIPELINE_RERUNS", "CI_PIPELINE_PARENT"]
        .iter()
        .any(|name| job.get(name).is_some_and(|number| number != "0"))
}

fn number(job: &Job<'_>) -> Option<Found> {
    let number = job.found("CI_PIPELINE_NUMBER")?;
    let is_one = number.value != "0";
    let others = ["CI_PIPELINE_URL", "CI_PIPELINE_CREATED"];
    if !is_one && others.iter().all(|name| job.get(name).is_none()) {
        job.warn(
            "CI_PIPELINE_NUMBER is 0, which no pipeline has; the run is not named (set PIPEFOLD_REFERENCE_ID)".into(),
        );
    }
    is_one.then_some(number)
}

/// `…/repos/7/pipeline/8`, below which older servers had the step.
fn number_of_page(job: &Job<'_>) -> Option<Found> {
    let (_, rest) = job.get("CI_PIPELINE_URL")?.split_once("/pipeline/")?;
    let number = rest
        .split('/')
        .next()
        .filter(|number| !number.is_empty() && *number != "0")?;
    Some(job.made(number, "CI_PIPELINE_URL"))
}

/// The second in which the pipeline was made, the same in each of its steps.
fn created(job: &Job<'_>) -> Option<Found> {
    let created = job
        .found("CI_PIPELINE_CREATED")
        .filter(|created| created.value != "0")?;
    Some(job.made(format!("at-{}", created.value), created.variable))
}
