//! CircleCI ("Project values and variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{host, path_segment};

pub const CIRCLECI: System = System {
    name: "CircleCI",
    id: "circleci",
    reference: "https://circleci.com/docs/reference/variables/",
    marks: &[
        &["CIRCLECI"],
        &["CIRCLE_WORKFLOW_ID"],
        &["CIRCLE_BUILD_NUM", "CIRCLE_BUILD_URL"],
    ],
    // The workflow's name is in no variable.
    pipeline: &[Var("CIRCLE_PROJECT_REPONAME")],
    job: &[Var("CIRCLE_JOB")],
    scope: &[
        By("`CIRCLE_PROJECT_USERNAME` and `CIRCLE_PROJECT_REPONAME`", project),
        Address("CIRCLE_REPOSITORY_URL"),
    ],
    // The same in each job of a workflow, and new when it is run again.
    run: &[Var("CIRCLE_WORKFLOW_ID")],
    repository: &[Address("CIRCLE_REPOSITORY_URL")],
    sha: &[Var("CIRCLE_SHA1")],
    // Of a branch with several pull requests the second is one of them.
    pr: &[
        Var("CIRCLE_PR_NUMBER"),
        By(
            "the end of `CIRCLE_PULL_REQUEST`, `CIRCLE_PULL_REQUESTS`",
            number_of_page,
        ),
    ],
    pr_page: &[By(
        "`CIRCLE_PULL_REQUEST`, the first of `CIRCLE_PULL_REQUESTS`",
        pull_request,
    )],
    is_pr: |job| job.get("CIRCLE_PR_USERNAME").is_some(),
    url: &[
        By("`CIRCLE_WORKFLOW_ID` on app.circleci.com", run_page),
        Var("CIRCLE_BUILD_URL"),
    ],
    // Of a fork's pull request it is pull/7.
    branch: &[Var("CIRCLE_BRANCH")],
    tag: &[Var("CIRCLE_TAG")],
    github: &[By("`CIRCLE_USERNAME`, if the repository is on GitHub", github_user)],
    left_out: &[
        (
            "`CIRCLE_PROJECT_USERNAME`, `CIRCLE_PROJECT_REPONAME` as the repository",
            "they are the project's display name, which its owner chooses; where `CIRCLE_REPOSITORY_URL` is not set (GitHub App, GitLab), \
             set `PIPEFOLD_REPOSITORY`, for example from `pipeline.project.git_url`",
        ),
        (
            "an attempt",
            "a workflow that is run again, wholly or from its failed jobs, has an id of its own",
        ),
        ("the workflow's name", "it is in no variable"),
    ],
    ..System::NONE
};

fn project(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (job.get("CIRCLE_PROJECT_USERNAME")?, job.get("CIRCLE_PROJECT_REPONAME")?);
    Some(job.made(format!("{owner}/{name}"), "CIRCLE_PROJECT_REPONAME"))
}

/// `https://github.com/org/repo/pull/7`; CIRCLE_PULL_REQUESTS has all of them, separated by commas.
fn pull_request(job: &Job<'_>) -> Option<Found> {
    let names = ["CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS"];
    names.into_iter().find_map(|name| {
        let first = job.get(name)?.split(',').next()?.trim_end_matches('/');
        Some(job.made(first, name))
    })
}

fn number_of_page(job: &Job<'_>) -> Option<Found> {
    let page = pull_request(job)?;
    Some(job.made(page.value.rsplit_once('/')?.1, page.variable))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    // A self-hosted server has its own address, which only the job's page has.
    let is_cloud = job.get("CIRCLE_BUILD_URL").is_none_or(|url| {
        host(url).is_ok_and(|host| host.split('/').next().is_some_and(|host| host.contains("circleci")))
    });
    let run = path_segment(job.get("CIRCLE_WORKFLOW_ID").filter(|_| is_cloud)?);
    let url = format!("https://app.circleci.com/pipelines/workflows/{run}");
    Some(job.made(url, "CIRCLE_WORKFLOW_ID"))
}

/// CIRCLE_USERNAME is the name on whatever host the repository lies.
fn github_user(job: &Job<'_>) -> Option<Found> {
    let is_github =
        |url: &str| url.starts_with("git@github.com:") || host(url).is_ok_and(|host| host.starts_with("github.com/"));
    let address = job.get("CIRCLE_REPOSITORY_URL").map(str::to_owned);
    let address = address.or_else(|| Some(pull_request(job)?.value))?;
    job.found("CIRCLE_USERNAME").filter(|_| is_github(&address))
}
