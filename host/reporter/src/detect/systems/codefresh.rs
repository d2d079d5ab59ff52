//! Codefresh ("Variables in pipelines" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::repository_of_page;

pub const CODEFRESH: System = System {
    name: "Codefresh",
    id: "codefresh",
    reference: "https://codefresh.io/docs/docs/pipelines/variables/",
    marks: &[&["CF_BUILD_ID"], &["CF_BUILD_URL"]],
    pipeline: &[Var("CF_PIPELINE_NAME")],
    step: &[Var("CF_STEP_NAME")],
    host: &[Var("CF_ACCOUNT")],
    scope: &[
        Var("CF_PIPELINE_NAME"),
        By("`CF_REPO_OWNER` and `CF_REPO_NAME`", repository),
        By("the repository of `CF_COMMIT_URL`", repository_of_commit),
    ],
    run: &[Var("CF_BUILD_ID")],
    repository: &[
        By("`CF_REPO_OWNER` and `CF_REPO_NAME`", repository),
        By("the repository of `CF_COMMIT_URL`", repository_of_commit),
    ],
    sha: &[Var("CF_REVISION")],
    pr: &[Var("CF_PULL_REQUEST_NUMBER")],
    url: &[Var("CF_BUILD_URL")],
    branch: &[Var("CF_PULL_REQUEST_HEAD_BRANCH"), Var("CF_BRANCH")],
    tag: &[Var("CF_RELEASE_TAG")],
    // Often a login: then it is no address.
    email: &[Var("CF_BUILD_INITIATOR")],
    left_out: &[("an attempt", "a build that is restarted has an id of its own")],
    ..System::NONE
};

fn repository(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (job.get("CF_REPO_OWNER")?, job.get("CF_REPO_NAME")?);
    Some(job.made(format!("{owner}/{name}"), "CF_REPO_NAME"))
}

fn repository_of_commit(job: &Job<'_>) -> Option<Found> {
    let name = repository_of_page(job.get("CF_COMMIT_URL")?)?;
    Some(job.made(name, "CF_COMMIT_URL"))
}
