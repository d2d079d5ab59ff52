//! GitLab CI ("Predefined CI/CD variables reference" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, Pushed, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{host, pull_request_of_ref, repository};

pub const GITLAB: System = System {
    name: "GitLab CI",
    id: "gitlab",
    reference: "https://docs.gitlab.com/ci/variables/predefined_variables/",
    marks: &[&["GITLAB_CI"], &["CI_JOB_ID", "CI_REPOSITORY_URL"]],
    pipeline: &[By("`CI_PROJECT_PATH` and `CI_PIPELINE_NAME`", pipeline)],
    workflow: &[Var("CI_PIPELINE_NAME")],
    job: &[Var("CI_JOB_NAME")],
    host: &[
        Var("CI_SERVER_URL"),
        Var("CI_SERVER_HOST"),
        By(
            "the server in `CI_PIPELINE_URL`, `CI_JOB_URL`, `CI_REPOSITORY_URL`",
            server,
        ),
    ],
    scope: &[
        Var("CI_PROJECT_PATH"),
        By("the repository in `CI_REPOSITORY_URL`", project),
    ],
    // A retried job keeps its pipeline, and so meets the others.
    run: &[Var("CI_PIPELINE_ID")],
    // The number of a merge request counts within the project that it goes to, also in a pipeline of the fork that it comes from; that of an
    // external pull request within the repository on GitHub.
    repository: &[
        By("`CI_MERGE_REQUEST_PROJECT_PATH`", project_of_merge_request),
        By("`CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY`", target_of_external),
        By("`CI_PROJECT_PATH`, `CI_REPOSITORY_URL`", project),
    ],
    // In a pipeline for merged results CI_COMMIT_SHA is a merge that is on no branch; in any other the first is empty.
    sha: &[
        Var("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"),
        Var("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA"),
        Unmerged("CI_COMMIT_SHA"),
    ],
    // The number within the project; CI_MERGE_REQUEST_ID counts for the whole server.
    pr: &[
        Var("CI_MERGE_REQUEST_IID"),
        By(
            "`CI_EXTERNAL_PULL_REQUEST_IID`, with its target repository",
            number_of_external,
        ),
    ],
    is_pr: |job| job.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").is_some(),
    is_merge: of_merged_results,
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
    left_out: &[
        (
            "`CI_MERGE_REQUEST_ID`",
            "it counts for the whole server, and no page goes by it",
        ),
        (
            "`CI_COMMIT_SHA` of merged results and merge trains",
            "it is a trial merge that is on no branch; `CI_MERGE_REQUEST_SOURCE_BRANCH_SHA` is the head",
        ),
        (
            "an attempt",
            "a retried job keeps its pipeline, and no variable shows the retry",
        ),
    ],
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

/// The project's path: below a server's own path (`/gitlab/group/project.git`) only that variable has its beginning.
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

fn project_of_merge_request(job: &Job<'_>) -> Option<Found> {
    job.get("CI_MERGE_REQUEST_IID")?;
    job.found("CI_MERGE_REQUEST_PROJECT_PATH")
}

fn target_of_external(job: &Job<'_>) -> Option<Found> {
    job.get("CI_EXTERNAL_PULL_REQUEST_IID")?;
    job.found("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY")
}

fn number_of_external(job: &Job<'_>) -> Option<Found> {
    target_of_external(job)?;
    job.found("CI_EXTERNAL_PULL_REQUEST_IID")
}

/// A pipeline for merged results or of a merge train, by its kind or by the ref that it was made for.
fn of_merged_results(job: &Job<'_>) -> bool {
    let names = ["CI_COMMIT_REF_NAME", "CI_MERGE_REQUEST_REF_PATH"];
    let mut refs = names.into_iter().filter_map(|name| pull_request_of_ref(job.get(name)?));
    job.is_one_of("CI_MERGE_REQUEST_EVENT_TYPE", &["merged_result", "merge_train"], false) || refs.any(|pr| pr.is_merge)
}

/// The server, from an address on it.
fn server(job: &Job<'_>) -> Option<Found> {
    let names = ["CI_PIPELINE_URL", "CI_JOB_URL", "CI_REPOSITORY_URL"];
    names.into_iter().find_map(|name| {
        let address = host(job.get(name)?).ok()?;
        Some(job.made(address.split('/').next()?, name))
    })
}
