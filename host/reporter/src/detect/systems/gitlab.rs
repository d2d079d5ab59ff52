//! GitLab CI ("Predefined CI/CD variables reference" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, Pushed, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{host, repository};

pub(super) const GITLAB: System = System {
    name: "GitLab CI",
    id: "gitlab",
    marks: &[&["GITLAB_CI"], &["CI_JOB_ID", "CI_REPOSITORY_URL"]],
    pipeline: &[By(pipeline)],
    workflow: &[Var("CI_PIPELINE_NAME")],
    job: &[Var("CI_JOB_NAME")],
    host: &[Var("CI_SERVER_URL"), Var("CI_SERVER_HOST"), By(server)],
    scope: &[Var("CI_PROJECT_PATH"), By(project)],
    // A retried job keeps its pipeline, and so meets the others.
    run: &[Var("CI_PIPELINE_ID")],
    repository: &[By(project)],
    // In a pipeline for merged results CI_COMMIT_SHA is a merge that nobody made; in any other the first is empty.
    sha: &[Var("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"), Var("CI_COMMIT_SHA")],
    // The number within the project; CI_MERGE_REQUEST_ID counts for the whole server.
    pr: &[Var("CI_MERGE_REQUEST_IID"), Var("CI_EXTERNAL_PULL_REQUEST_IID")],
    is_pr: |job| job.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").is_some(),
    is_push: |job| job.is_one_of("CI_PIPELINE_SOURCE", &["push"], true),
    url: &[Var("CI_PIPELINE_URL"), Var("CI_JOB_URL")],
    branch: &[
        Var("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        Var("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME"),
        Var("CI_COMMIT_BRANCH"),
        Var("CI_COMMIT_REF_NAME"),
    ],
    tag: &[Var("CI_COMMIT_TAG")],
    gitlab: &[Var("GITLAB_USER_LOGIN")],
    email: &[Var("GITLAB_USER_EMAIL"), Pushed("CI_COMMIT_AUTHOR")],
    ..System::NONE
};

/// The project, and the name that `workflow:name` gives a pipeline.
fn pipeline(job: &Job<'_>) -> Option<Found> {
    let project = job.found("CI_PROJECT_PATH")?;
    Some(match job.get("CI_PIPELINE_NAME") {
        Some(name) => job.made(format!("{} / {name}", project.value), "CI_PIPELINE_NAME"),
        None => project,
    })
}

/// The project's path: below a server's own path (`/gitlab/group/project.git`) only that variable tells where it begins.
fn project(job: &Job<'_>) -> Option<Found> {
    let path = job.found("CI_PROJECT_PATH");
    let cloned = job.get("CI_REPOSITORY_URL").and_then(|url| repository(url).ok());
    match (path, cloned) {
        (Some(path), Some(cloned)) if !format!("/{cloned}").ends_with(&format!("/{}", path.value)) => {
            Some(job.made(cloned, "CI_REPOSITORY_URL"))
        }
        (Some(path), _) => Some(path),
        (None, cloned) => Some(job.made(cloned?, "CI_REPOSITORY_URL")),
    }
}

/// The server, from an address on it.
fn server(job: &Job<'_>) -> Option<Found> {
    let names = ["CI_PIPELINE_URL", "CI_JOB_URL", "CI_REPOSITORY_URL"];
    names.into_iter().find_map(|name| {
        let address = host(job.get(name)?).ok()?;
        Some(job.made(address.split('/').next()?, name))
    })
}
