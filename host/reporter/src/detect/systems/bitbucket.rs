//! Bitbucket Pipelines ("Variables and secrets" in its documentation).

use crate::detect::git;
use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::path_segment;

pub const BITBUCKET: System = System {
    name: "Bitbucket Pipelines",
    id: "bitbucket",
    reference: "https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/",
    marks: &[
        &["BITBUCKET_BUILD_NUMBER"],
        &["BITBUCKET_PIPELINE_UUID"],
        &["BITBUCKET_COMMIT"],
    ],
    pipeline: &[Var("BITBUCKET_REPO_FULL_NAME")],
    step: &[By("`BITBUCKET_STEP_UUID`", step)],
    scope: &[Var("BITBUCKET_REPO_FULL_NAME"), Address("BITBUCKET_GIT_HTTP_ORIGIN")],
    run: &[
        By("`BITBUCKET_PIPELINE_UUID`", pipeline_id),
        Var("BITBUCKET_BUILD_NUMBER"),
    ],
    repository: &[
        Address("BITBUCKET_GIT_HTTP_ORIGIN"),
        Address("BITBUCKET_GIT_SSH_ORIGIN"),
        Var("BITBUCKET_REPO_SLUG"),
        By("the name in `BITBUCKET_REPO_FULL_NAME`", name),
    ],
    sha: &[
        By(
            "`BITBUCKET_COMMIT`, completed from the workspace's git if it is abbreviated",
            whole_commit,
        ),
        Var("BITBUCKET_COMMIT"),
    ],
    pr: &[Var("BITBUCKET_PR_ID")],
    url: &[By("`BITBUCKET_REPO_FULL_NAME` and `BITBUCKET_BUILD_NUMBER`", run_page)],
    branch: &[Var("BITBUCKET_BRANCH")],
    tag: &[Var("BITBUCKET_TAG")],
    left_out: &[
        (
            "`BITBUCKET_STEP_RUN_NUMBER`",
            "it counts the runs of one step: a step behind one that was run again has the number 1, and the run would fall apart",
        ),
        (
            "who started it",
            "DX does not know the id in `BITBUCKET_STEP_TRIGGERER_UUID`",
        ),
    ],
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

/// Twelve digits stand in some jobs for the whole name.
fn whole_commit(job: &Job<'_>) -> Option<Found> {
    let beginning = job.get("BITBUCKET_COMMIT")?.to_ascii_lowercase();
    let is_part = (7..40).contains(&beginning.len());
    let mut checkouts = job.checkouts("BITBUCKET_CLONE_DIR").filter(|_| is_part);
    let commit = checkouts.find_map(|directory| git::whole(directory, &beginning))?;
    Some(job.made(commit, "BITBUCKET_COMMIT"))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let repository = path_segment(job.get("BITBUCKET_REPO_FULL_NAME")?);
    let number = path_segment(job.get("BITBUCKET_BUILD_NUMBER")?);
    let url = format!("https://bitbucket.org/{repository}/addon/pipelines/home#!/results/{number}");
    Some(job.made(url, "BITBUCKET_BUILD_NUMBER"))
}
