//! Semaphore ("Environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{path_segment, server};

pub const SEMAPHORE: System = System {
    name: "Semaphore",
    id: "semaphore",
    reference: "https://docs.semaphore.io/reference/env-vars",
    marks: &[&["SEMAPHORE"], &["SEMAPHORE_JOB_ID"]],
    pipeline: &[Var("SEMAPHORE_PIPELINE_NAME"), Var("SEMAPHORE_PROJECT_NAME")],
    workflow: &[Var("SEMAPHORE_PIPELINE_NAME")],
    job: &[Var("SEMAPHORE_JOB_NAME"), Var("SEMAPHORE_BLOCK_NAME")],
    host: &[Var("SEMAPHORE_ORGANIZATION_URL")],
    scope: &[
        Var("SEMAPHORE_PROJECT_NAME"),
        Var("SEMAPHORE_PROJECT_ID"),
        Var("SEMAPHORE_GIT_REPO_SLUG"),
    ],
    // A workflow has several pipelines, one after the other; each is a run, and new when it is run again.
    run: &[Var("SEMAPHORE_PIPELINE_ID"), Var("SEMAPHORE_WORKFLOW_ID")],
    repository: &[Var("SEMAPHORE_GIT_REPO_SLUG"), Address("SEMAPHORE_GIT_URL")],
    sha: &[Var("SEMAPHORE_GIT_PR_SHA"), Unmerged("SEMAPHORE_GIT_SHA")],
    pr: &[Var("SEMAPHORE_GIT_PR_NUMBER")],
    is_pr: |job| job.is_one_of("SEMAPHORE_GIT_REF_TYPE", &["pull-request"], false),
    url: &[By(
        "`SEMAPHORE_ORGANIZATION_URL` and `SEMAPHORE_WORKFLOW_ID`, else `SEMAPHORE_JOB_ID`",
        run_page,
    )],
    // Of a pull request the second is the target.
    branch: &[
        Var("SEMAPHORE_GIT_PR_BRANCH"),
        Var("SEMAPHORE_GIT_WORKING_BRANCH"),
        OutsidePr("SEMAPHORE_GIT_BRANCH"),
    ],
    tag: &[Var("SEMAPHORE_GIT_TAG_NAME")],
    // Often a login: then it is no address.
    email: &[Var("SEMAPHORE_WORKFLOW_TRIGGERED_BY")],
    left_out: &[
        (
            "`SEMAPHORE_GIT_SHA`, `SEMAPHORE_GIT_BRANCH` of a pull request",
            "they are a trial merge and the target",
        ),
        (
            "an attempt",
            "a pipeline that is run again, wholly or from its failed jobs, has an id of its own",
        ),
    ],
    ..System::NONE
};

fn run_page(job: &Job<'_>) -> Option<Found> {
    let server = server(job.get("SEMAPHORE_ORGANIZATION_URL")?)?;
    if let Some(workflow) = job.get("SEMAPHORE_WORKFLOW_ID") {
        let url = format!("{server}/workflows/{}", path_segment(workflow));
        return Some(job.made(url, "SEMAPHORE_WORKFLOW_ID"));
    }
    let url = format!("{server}/jobs/{}", path_segment(job.get("SEMAPHORE_JOB_ID")?));
    Some(job.made(url, "SEMAPHORE_JOB_ID"))
}
