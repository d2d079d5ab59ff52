//! Bitbucket Pipelines ("Variables and secrets" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::path_segment;

pub(super) const BITBUCKET: System = System {
    name: "Bitbucket Pipelines",
    id: "bitbucket",
    marks: &[
        &["BITBUCKET_BUILD_NUMBER"],
        &["BITBUCKET_PIPELINE_UUID"],
        &["BITBUCKET_COMMIT"],
    ],
    pipeline: &[Var("BITBUCKET_REPO_FULL_NAME")],
    step: &[By(step)],
    scope: &[Var("BITBUCKET_REPO_FULL_NAME"), Var("BITBUCKET_GIT_HTTP_ORIGIN")],
    run: &[By(pipeline_id), Var("BITBUCKET_BUILD_NUMBER")],
    // A step that is run again keeps the build's number.
    attempt: &[Var("BITBUCKET_STEP_RUN_NUMBER")],
    repository: &[
        Var("BITBUCKET_GIT_HTTP_ORIGIN"),
        Var("BITBUCKET_GIT_SSH_ORIGIN"),
        Var("BITBUCKET_REPO_SLUG"),
        By(name),
    ],
    sha: &[Var("BITBUCKET_COMMIT")],
    pr: &[Var("BITBUCKET_PR_ID")],
    url: &[By(run_page)],
    branch: &[Var("BITBUCKET_BRANCH")],
    tag: &[Var("BITBUCKET_TAG")],
    ..System::NONE
};

/// An id in braces.
fn braced(job: &Job<'_>, variable: &'static str) -> Option<Found> {
    let id = job.get(variable)?.trim_matches(['{', '}']);
    (!id.is_empty()).then(|| job.made(id, variable))
}

fn pipeline_id(job: &Job<'_>) -> Option<Found> {
    braced(job, "BITBUCKET_PIPELINE_UUID")
}

fn step(job: &Job<'_>) -> Option<Found> {
    braced(job, "BITBUCKET_STEP_UUID")
}

/// Bitbucket Cloud's repositories have their name alone in DX.
fn name(job: &Job<'_>) -> Option<Found> {
    let name = job.get("BITBUCKET_REPO_FULL_NAME")?.rsplit('/').next()?;
    Some(job.made(name, "BITBUCKET_REPO_FULL_NAME"))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let repository = path_segment(job.get("BITBUCKET_REPO_FULL_NAME")?);
    let number = path_segment(job.get("BITBUCKET_BUILD_NUMBER")?);
    let url = format!("https://bitbucket.org/{repository}/addon/pipelines/home#!/results/{number}");
    Some(job.made(url, "BITBUCKET_BUILD_NUMBER"))
}
