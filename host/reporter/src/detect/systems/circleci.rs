//! CircleCI ("Project values and variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{host, path_segment};

pub(super) const CIRCLECI: System = System {
    name: "CircleCI",
    id: "circleci",
    marks: &[
        &["CIRCLECI"],
        &["CIRCLE_WORKFLOW_ID"],
        &["CIRCLE_BUILD_NUM", "CIRCLE_BUILD_URL"],
    ],
    // The workflow's name is in no variable.
    pipeline: &[Var("CIRCLE_PROJECT_REPONAME")],
    job: &[Var("CIRCLE_JOB")],
    scope: &[By(project), Var("CIRCLE_REPOSITORY_URL")],
    // The same in each job of a workflow, and new when it is run again.
    run: &[Var("CIRCLE_WORKFLOW_ID")],
    repository: &[Var("CIRCLE_REPOSITORY_URL"), By(project)],
    sha: &[Var("CIRCLE_SHA1")],
    // Of a branch with several pull requests the second is one of them.
    pr: &[Var("CIRCLE_PR_NUMBER"), By(number_of_page)],
    is_pr: |job| job.get("CIRCLE_PR_USERNAME").is_some(),
    url: &[By(run_page), Var("CIRCLE_BUILD_URL")],
    // Of a fork's pull request it is pull/7.
    branch: &[Var("CIRCLE_BRANCH")],
    tag: &[Var("CIRCLE_TAG")],
    github: &[By(github_user)],
    ..System::NONE
};

fn project(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (job.get("CIRCLE_PROJECT_USERNAME")?, job.get("CIRCLE_PROJECT_REPONAME")?);
    Some(job.made(format!("{owner}/{name}"), "CIRCLE_PROJECT_REPONAME"))
}

/// `https://github.com/org/repo/pull/7`; CIRCLE_PULL_REQUESTS has all of them, separated by commas.
fn number_of_page(job: &Job<'_>) -> Option<Found> {
    let names = ["CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS"];
    names.into_iter().find_map(|name| {
        let first = job.get(name)?.split(',').next()?.trim_end_matches('/');
        Some(job.made(first.rsplit_once('/')?.1, name))
    })
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    // A server of one's own has its own address, which only the job's page tells.
    let is_cloud = job.get("CIRCLE_BUILD_URL").is_none_or(|url| {
        host(url).is_ok_and(|host| host.split('/').next().is_some_and(|host| host.contains("circleci")))
    });
    let run = path_segment(job.get("CIRCLE_WORKFLOW_ID").filter(|_| is_cloud)?);
    let url = format!("https://app.circleci.com/pipelines/workflows/{run}");
    Some(job.made(url, "CIRCLE_WORKFLOW_ID"))
}

/// CIRCLE_USERNAME is the name on whatever host the repository lies.
fn github_user(job: &Job<'_>) -> Option<Found> {
    let url = job.get("CIRCLE_REPOSITORY_URL")?;
    let is_github = url.starts_with("git@github.com:") || host(url).is_ok_and(|host| host.starts_with("github.com/"));
    job.found("CIRCLE_USERNAME").filter(|_| is_github)
}
