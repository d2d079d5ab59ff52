//! Jenkins ("Using environment variables" in its handbook), with the variables of the Git, GitHub Branch Source, GitHub Pull Request
//! Builder, GitLab and build user vars plugins; and Jenkins X ("jx gitops variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, OutsidePr, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{branch, host, without_branch};

pub(super) const JENKINS: System = System {
    name: "Jenkins",
    id: "jenkins",
    // JENKINS_URL and BUILD_URL are missing where the administrator has not set the server's address.
    marks: &[
        &["JENKINS_URL"],
        &["BUILD_TAG", "JOB_NAME"],
        &["BUILD_URL", "BUILD_NUMBER"],
    ],
    pipeline: &[By(pipeline)],
    job: &[By(pipeline)],
    step: &[Var("STAGE_NAME")],
    host: &[Var("JENKINS_URL"), By(server)],
    scope: &[By(job_of_the_run)],
    run: &[Var("BUILD_NUMBER"), Var("BUILD_TAG")],
    repository: &[Var("GIT_URL"), Var("GIT_URL_1")],
    sha: &[
        Var("ghprbActualCommit"),
        Var("gitlabMergeRequestLastCommit"),
        Var("GIT_COMMIT"),
    ],
    pr: &[Var("CHANGE_ID"), Var("ghprbPullId"), Var("gitlabMergeRequestIid")],
    url: &[Var("BUILD_URL")],
    branch: &[
        Var("CHANGE_BRANCH"),
        Var("ghprbSourceBranch"),
        Var("gitlabSourceBranch"),
        By(git_branch),
        OutsidePr("GIT_LOCAL_BRANCH"),
        By(branch_name),
    ],
    tag: &[Var("TAG_NAME")],
    // Who opened a pull request is who started its build, unless the plugin knows better.
    email: &[
        Var("BUILD_USER_EMAIL"),
        Var("CHANGE_AUTHOR_EMAIL"),
        Var("ghprbPullAuthorEmail"),
    ],
    ..System::NONE
};

pub(super) const JENKINS_X: System = System {
    name: "Jenkins X",
    id: "jenkins-x",
    marks: &[&["JENKINS_X_URL"], &["PIPELINE_KIND", "REPO_OWNER", "REPO_NAME"]],
    pipeline: &[By(jx_pipeline)],
    job: &[Var("JOB_NAME")],
    host: &[By(jx_server)],
    scope: &[By(jx_scope)],
    run: &[Var("BUILD_NUMBER"), Var("BUILD_ID")],
    repository: &[By(jx_repository)],
    sha: &[Var("PULL_PULL_SHA"), OutsidePr("PULL_BASE_SHA")],
    pr: &[Var("PULL_NUMBER")],
    url: &[Var("JENKINS_X_URL")],
    // Of a pull request it is PR-7.
    branch: &[OutsidePr("BRANCH_NAME")],
    ..System::NONE
};

/// What the branch may be called at the end of a job's name.
fn branches(job: &Job<'_>) -> Vec<String> {
    let given = ["BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH", "CHANGE_BRANCH"];
    let names = given.into_iter().filter_map(|name| job.get(name));
    names
        .flat_map(|name| [Some(name.to_owned()), branch(name).ok()])
        .flatten()
        .collect()
}

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let branches = branches(job);
    let name = without_branch(job.get("JOB_NAME")?, branches.iter().map(String::as_str));
    Some(job.made(name, "JOB_NAME"))
}

/// The job with its branch, for each branch counts its builds; without its axes, for the cells of a matrix are one build.
fn job_of_the_run(job: &Job<'_>) -> Option<Found> {
    let name = job.get("JOB_NAME")?;
    let segments = name.split('/').filter(|segment| !segment.contains('='));
    let name = segments.collect::<Vec<_>>().join("/");
    (!name.is_empty()).then(|| job.made(name, "JOB_NAME"))
}

/// The server, from the address of the build on it: `…/job/folder/job/name/7/`.
fn server(job: &Job<'_>) -> Option<Found> {
    let address = host(job.get("BUILD_URL")?).ok()?;
    Some(job.made(address.split("/job/").next()?, "BUILD_URL"))
}

/// Of a pull request it is PR-7 in a multibranch job; a plugin may also have checked out the target.
fn git_branch(job: &Job<'_>) -> Option<Found> {
    let others = ["BRANCH_NAME", "CHANGE_TARGET"].map(|name| job.get(name));
    job.found("GIT_BRANCH")
        .filter(|found| !job.is_pr() || !others.contains(&Some(found.value.as_str())))
}

/// In a multibranch job the branch, or PR-7 for a pull request, or a tag.
fn branch_name(job: &Job<'_>) -> Option<Found> {
    job.found("BRANCH_NAME")
        .filter(|_| !job.is_pr() && job.get("TAG_NAME").is_none())
}

fn jx_repository(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (job.get("REPO_OWNER")?, job.get("REPO_NAME")?);
    Some(job.made(format!("{owner}/{name}"), "REPO_NAME"))
}

fn jx_pipeline(job: &Job<'_>) -> Option<Found> {
    let repository = jx_repository(job)?;
    Some(match job.get("PIPELINE_KIND") {
        Some(kind) => job.made(format!("{} / {kind}", repository.value), "PIPELINE_KIND"),
        None => repository,
    })
}

/// Builds are counted for each branch or pull request of a repository.
fn jx_scope(job: &Job<'_>) -> Option<Found> {
    let (repository, branch) = (jx_repository(job)?, job.get("BRANCH_NAME")?);
    Some(job.made(format!("{}/{branch}", repository.value), "REPO_NAME"))
}

fn jx_server(job: &Job<'_>) -> Option<Found> {
    let address = host(job.get("JENKINS_X_URL")?).ok()?;
    Some(job.made(address.split('/').next()?, "JENKINS_X_URL"))
}
