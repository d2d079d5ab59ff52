//! Jenkins ("Using environment variables" in its handbook), with the variables of the Git, GitHub Branch Source, GitHub Pull Request
//! Builder, GitHub Pull Request, GitLab and build user vars plugins; and Jenkins X ("jx gitops variables" in its documentation).

use crate::detect::git;
use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{self, branch, host, pull_request_of_ref};

pub const JENKINS: System = System {
    name: "Jenkins",
    id: "jenkins",
    reference: "https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables",
    // JENKINS_URL and BUILD_URL are missing where the administrator has not set the server's address.
    marks: &[
        &["JENKINS_URL"],
        &["BUILD_TAG", "JOB_NAME"],
        &["BUILD_URL", "BUILD_NUMBER"],
    ],
    pipeline: &[By(
        "`JOB_NAME` without the branch of a multibranch project (`BRANCH_NAME`) or the axes of a matrix project",
        pipeline,
    )],
    job: &[By("the pipeline's name", pipeline)],
    step: &[Var("STAGE_NAME")],
    host: &[Var("JENKINS_URL"), By("the server in `BUILD_URL`", server)],
    scope: &[By("`JOB_NAME` without the axes of a matrix project", job_of_the_run)],
    run: &[Var("BUILD_NUMBER"), Var("BUILD_TAG")],
    repository: &[
        By(
            "`gitlabTargetRepoHttpUrl`, `gitlabTargetRepoSshUrl` of a merge request",
            target_of_merge_request,
        ),
        Address("GIT_URL"),
        Address("GIT_URL_1"),
    ],
    sha: &[
        Var("ghprbActualCommit"),
        Var("gitlabMergeRequestLastCommit"),
        Var("GITHUB_PR_HEAD_SHA"),
        By(
            "of a pull request what `GIT_COMMIT` was before it was merged, by git's record of `HEAD` in the workspace",
            head_in_workspace,
        ),
        OutsidePr("GIT_COMMIT"),
    ],
    pr: &[
        Var("CHANGE_ID"),
        Var("ghprbPullId"),
        Var("GITHUB_PR_NUMBER"),
        Var("gitlabMergeRequestIid"),
        By(
            "`GIT_BRANCH`, if it is a ref such as `origin/pr/7/merge`",
            number_of_ref,
        ),
    ],
    pr_page: &[Var("CHANGE_URL"), Var("ghprbPullLink"), Var("GITHUB_PR_URL")],
    url: &[Var("BUILD_URL")],
    branch: &[
        Var("CHANGE_BRANCH"),
        Var("ghprbSourceBranch"),
        Var("GITHUB_PR_SOURCE_BRANCH"),
        Var("gitlabSourceBranch"),
        By("`GIT_BRANCH`, unless it is a pull request's job or target", git_branch),
        By("`GIT_LOCAL_BRANCH` where `GIT_BRANCH` is not set", local_branch),
        By("`BRANCH_NAME` of a branch", branch_name),
    ],
    tag: &[Var("TAG_NAME")],
    // The author of a pull request counts as the person who started its build, unless the plugin names another.
    email: &[
        Var("BUILD_USER_EMAIL"),
        Var("CHANGE_AUTHOR_EMAIL"),
        Var("ghprbPullAuthorEmail"),
    ],
    left_out: &[
        (
            "`GIT_COMMIT` of a pull request, where the workspace's git does not know it",
            "by the project's strategy it is the head or a merge with the target that only the workspace has, and no variable shows which",
        ),
        (
            "an attempt",
            "a rebuild, a replay and a restart from a stage have a build number of their own",
        ),
        (
            "a job that was deleted and made again",
            "its builds count from 1 again, so a branch's new job meets the records of an old one of the same name; no variable distinguishes them",
        ),
    ],
    ..System::NONE
};

pub const JENKINS_X: System = System {
    name: "Jenkins X",
    id: "jenkins-x",
    reference: "https://jenkins-x.io/v3/develop/reference/variables/",
    marks: &[&["JENKINS_X_URL"], &["PIPELINE_KIND", "REPO_OWNER", "REPO_NAME"]],
    pipeline: &[By("`REPO_OWNER`, `REPO_NAME` and `PIPELINE_KIND`", jx_pipeline)],
    job: &[Var("JOB_NAME")],
    host: &[By("the server in `JENKINS_X_URL`", jx_server)],
    scope: &[By("`REPO_OWNER`, `REPO_NAME` and `BRANCH_NAME`", jx_scope)],
    run: &[Var("BUILD_NUMBER"), Var("BUILD_ID")],
    repository: &[By("`REPO_OWNER` and `REPO_NAME`", owned_repository)],
    sha: &[Var("PULL_PULL_SHA"), Unmerged("PULL_BASE_SHA")],
    pr: &[Var("PULL_NUMBER")],
    url: &[Var("JENKINS_X_URL")],
    // Of a pull request it is PR-7.
    branch: &[OutsidePr("BRANCH_NAME")],
    left_out: &[("`PULL_BASE_SHA` of a pull request", "it is the target")],
    ..System::NONE
};

/// The multibranch project of which this job is a branch. `BRANCH_NAME` alone does not say so: parameters are called that, too.
fn multibranch<'j>(job: &'j Job<'_>) -> Option<&'j str> {
    without_branch(job.get("JOB_NAME")?, job.get("BRANCH_NAME")?)
}

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let name = multibranch(job).or_else(|| job.get("JOB_NAME").map(without_axes))?;
    Some(job.made(name, "JOB_NAME"))
}

/// The job with its branch, for each branch counts its builds; without its axes, for the cells of a matrix are one build. A matrix project is
/// never multibranch, so a `=` there is the branch's own.
fn job_of_the_run(job: &Job<'_>) -> Option<Found> {
    let name = job.get("JOB_NAME")?;
    let name = if multibranch(job).is_some() {
        name
    } else {
        without_axes(name)
    };
    Some(job.made(name, "JOB_NAME"))
}

/// The server, from the address of the build on it: `…/job/folder/job/name/7/`.
fn server(job: &Job<'_>) -> Option<Found> {
    let address = host(job.get("BUILD_URL")?).ok()?;
    Some(job.made(address.split("/job/").next()?, "BUILD_URL"))
}

/// The project that counts the merge request; `GIT_URL` may be a fork's.
fn target_of_merge_request(job: &Job<'_>) -> Option<Found> {
    job.get("gitlabMergeRequestIid")?;
    let names = ["gitlabTargetRepoHttpUrl", "gitlabTargetRepoSshUrl"];
    names
        .into_iter()
        .find_map(|name| Some(job.made(values::repository(job.get(name)?).ok()?, name)))
}

/// The head of a pull request, as far as the workspace's git knows it. A merge that the host made looks like any other commit there.
fn head_in_workspace(job: &Job<'_>) -> Option<Found> {
    let built = job.get("GIT_COMMIT").filter(|_| job.is_pr())?;
    let of_ref = job.get("GIT_BRANCH").and_then(pull_request_of_ref);
    let is_merge_of_the_host = of_ref.is_some_and(|pull_request| pull_request.is_merge);
    let mut checkouts = job.checkouts("WORKSPACE").filter(|_| !is_merge_of_the_host);
    let head = checkouts.find_map(|directory| git::fetched(directory, built));
    if head.is_none() {
        job.warn_of_merge("GIT_COMMIT", if is_merge_of_the_host { "is not" } else { "may not be" });
    }
    Some(job.made(head?, "GIT_COMMIT"))
}

fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let pull_request = pull_request_of_ref(job.get("GIT_BRANCH")?)?;
    Some(job.made(pull_request.number, "GIT_BRANCH"))
}

/// Of a pull request it is PR-7 in a multibranch job; a plugin may also have checked out the target.
fn git_branch(job: &Job<'_>) -> Option<Found> {
    let found = job.found("GIT_BRANCH")?;
    let others = ["BRANCH_NAME", "CHANGE_TARGET"].map(|name| job.get(name));
    let is_another =
        job.is_pr() && (others.contains(&branch(&found.value).ok().as_deref()) || others.contains(&Some(&found.value)));
    (!is_another).then_some(found)
}

/// The branch's name in the workspace may be any, so it counts only where no other is known.
fn local_branch(job: &Job<'_>) -> Option<Found> {
    job.found("GIT_LOCAL_BRANCH")
        .filter(|_| !job.is_pr() && job.get("GIT_BRANCH").is_none())
}

/// In a multibranch job the branch, or PR-7 for a pull request, or a tag.
fn branch_name(job: &Job<'_>) -> Option<Found> {
    job.found("BRANCH_NAME")
        .filter(|_| !job.is_pr() && job.get("TAG_NAME").is_none())
}

/// `REPO_OWNER/REPO_NAME`, which Prow and Jenkins X set.
pub fn owned_repository(job: &Job<'_>) -> Option<Found> {
    let (owner, name) = (job.get("REPO_OWNER")?, job.get("REPO_NAME")?);
    Some(job.made(format!("{owner}/{name}"), "REPO_NAME"))
}

fn jx_pipeline(job: &Job<'_>) -> Option<Found> {
    let repository = owned_repository(job)?;
    Some(match job.get("PIPELINE_KIND") {
        Some(kind) => job.made(format!("{} / {kind}", repository.value), "PIPELINE_KIND"),
        None => repository,
    })
}

/// Builds are counted for each branch or pull request of a repository.
fn jx_scope(job: &Job<'_>) -> Option<Found> {
    let (repository, branch) = (owned_repository(job)?, job.get("BRANCH_NAME")?);
    Some(job.made(format!("{}/{branch}", repository.value), "REPO_NAME"))
}

fn jx_server(job: &Job<'_>) -> Option<Found> {
    let address = host(job.get("JENKINS_X_URL")?).ok()?;
    Some(job.made(address.split('/').next()?, "JENKINS_X_URL"))
}

/// The name of a multibranch project, of whose branch `job` is the job: Jenkins appends the branch, or `PR-7`, as the last part of the name
/// and escapes characters that a directory's name cannot have ("NameEncoder" of the branch API plugin). None if the last part is something
/// else.
fn without_branch<'j>(job: &'j str, branch: &str) -> Option<&'j str> {
    let encoded = job
        .rsplit_once('/')
        .filter(|(_, last)| values::unescaped(last).as_deref() == Some(branch));
    let stem = match encoded {
        Some((stem, _)) => stem,
        None => job.strip_suffix(branch)?.strip_suffix('/')?,
    };
    (!stem.is_empty()).then_some(stem)
}

/// The name of a matrix project, of which `job` is a cell: Jenkins appends the axes, as `KEY=VALUE,…`. Any other name as it is.
fn without_axes(job: &str) -> &str {
    let is_axes = |last: &str| {
        last.split(',')
            .all(|axis| axis.split_once('=').is_some_and(|(key, _)| !key.is_empty()))
    };
    match job.rsplit_once('/') {
        Some((stem, last)) if !stem.is_empty() && is_axes(last) => stem,
        _ => job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_removed_where_it_is_the_last_part() {
        for (job, branch, stem) in [
            ("job", "main", None),
            ("job/main", "main", Some("job")),
            ("job/other", "main", None),
            ("folder/job/feature%2Fone", "feature/one", Some("folder/job")),
            ("folder/job/feature/one", "feature/one", Some("folder/job")),
            ("folder/job/fix%2312", "fix#12", Some("folder/job")),
            ("folder/job/a%252Fb", "a%2Fb", Some("folder/job")),
            ("folder/job/PR-7", "PR-7", Some("folder/job")),
            ("main", "main", None),
            ("domain", "main", None),
        ] {
            assert_eq!(without_branch(job, branch), stem, "{job}");
        }
    }

    #[test]
    fn the_axes_are_removed_where_they_are_the_last_part() {
        for (job, stem) in [
            ("job/K1=V1,K2=V2", "job"),
            ("job", "job"),
            ("folder/a=b/job", "folder/a=b/job"),
            ("K=V", "K=V"),
            ("job/=x", "job/=x"),
        ] {
            assert_eq!(without_axes(job), stem, "{job}");
        }
    }
}
