//! AWS CodeBuild ("Environment variables in build environments" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{commit_sha, path_segment, pull_request_of_ref};

pub const CODEBUILD: System = System {
    name: "AWS CodeBuild",
    id: "codebuild",
    reference: "https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html",
    marks: &[&["CODEBUILD_BUILD_ID"], &["CODEBUILD_BUILD_ARN"]],
    // Each build of a batch is a run: no variable names the batch, and one that is retried keeps its name.
    pipeline: &[By(
        "the project in `CODEBUILD_BUILD_ID` or the ARN, and `CODEBUILD_BATCH_BUILD_IDENTIFIER`",
        pipeline,
    )],
    job: &[Var("CODEBUILD_BATCH_BUILD_IDENTIFIER")],
    host: &[By("account and region of `CODEBUILD_BUILD_ARN`", account)],
    scope: &[By(
        "the project in `CODEBUILD_BUILD_ID`, `CODEBUILD_BUILD_ARN`",
        project,
    )],
    run: &[By("the id in `CODEBUILD_BUILD_ID`, `CODEBUILD_BUILD_ARN`", build)],
    repository: &[Address("CODEBUILD_SOURCE_REPO_URL")],
    sha: &[
        Unmerged("CODEBUILD_RESOLVED_SOURCE_VERSION"),
        By("`CODEBUILD_SOURCE_VERSION`, if it is a commit", commit_of_source),
    ],
    // Of `pr/7` CodeBuild builds the head; a ref that someone gave by hand may be the merge.
    is_merge: |job| {
        source(job)
            .and_then(|(name, _)| pull_request_of_ref(name))
            .is_some_and(|pr| pr.is_merge)
    },
    pr: &[By(
        "`CODEBUILD_WEBHOOK_TRIGGER`, `CODEBUILD_SOURCE_VERSION` such as `pr/7`",
        number,
    )],
    url: &[
        Var("CODEBUILD_PUBLIC_BUILD_URL"),
        By("the console's page, from the parts of `CODEBUILD_BUILD_ARN`", run_page),
    ],
    branch: &[
        Var("CODEBUILD_WEBHOOK_HEAD_REF"),
        By("`CODEBUILD_WEBHOOK_TRIGGER` such as `branch/main`", trigger_branch),
        By(
            "`CODEBUILD_SOURCE_VERSION`, if it has the form of neither a commit nor a tag",
            branch_of_source,
        ),
    ],
    left_out: &[
        (
            "the commit of `refs/pull/7/merge`",
            "it is a trial merge that is on no branch",
        ),
        (
            "`CODEBUILD_INITIATOR`",
            "it may be a user, a pipeline or a service, and its form in a batch is not documented",
        ),
        (
            "a batch as one run",
            "its builds are runs of their own, called `project / identifier`: a batch that is retried keeps its id, so one record would stay red",
        ),
        (
            "a `CODEBUILD_SOURCE_VERSION` such as `v1.2`",
            "it may be a branch or a tag; such a name is taken for a tag",
        ),
        ("an attempt", "a build that is retried has an id of its own"),
    ],
    ..System::NONE
};

/// `project:id`, in a variable of its own or at the end of `arn:aws:codebuild:region:account:build/project:id`.
fn id<'j>(job: &'j Job<'_>) -> Option<(&'j str, &'j str, &'static str)> {
    let own = job.get("CODEBUILD_BUILD_ID").and_then(|id| id.split_once(':'));
    own.map(|(project, id)| (project, id, "CODEBUILD_BUILD_ID"))
        .or_else(|| {
            let (_, id) = job.get("CODEBUILD_BUILD_ARN")?.split_once(":build/")?;
            let (project, id) = id.split_once(':')?;
            Some((project, id, "CODEBUILD_BUILD_ARN"))
        })
}

fn project(job: &Job<'_>) -> Option<Found> {
    id(job).map(|(project, _, variable)| job.made(project, variable))
}

fn build(job: &Job<'_>) -> Option<Found> {
    id(job).map(|(_, build, variable)| job.made(build, variable))
}

/// Region and account of the ARN: `(region, account)`.
fn place<'j>(job: &'j Job<'_>) -> Option<(&'j str, &'j str)> {
    let mut parts = job.get("CODEBUILD_BUILD_ARN")?.split(':').skip(3);
    parts
        .next()
        .zip(parts.next())
        .filter(|(region, account)| !region.is_empty() && !account.is_empty())
}

fn account(job: &Job<'_>) -> Option<Found> {
    place(job).map(|(region, account)| job.made(format!("{account}/{region}"), "CODEBUILD_BUILD_ARN"))
}

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let project = project(job)?;
    Some(match job.get("CODEBUILD_BATCH_BUILD_IDENTIFIER") {
        Some(build) => job.made(
            format!("{} / {build}", project.value),
            "CODEBUILD_BATCH_BUILD_IDENTIFIER",
        ),
        None => project,
    })
}

/// `pr/7`, and refs that a user gave.
fn number(job: &Job<'_>) -> Option<Found> {
    ["CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION"]
        .into_iter()
        .find_map(|name| {
            let given = job.get(name)?;
            let given = given.split_once("^{").map_or(given, |(given, _)| given);
            Some(job.made(pull_request_of_ref(given)?.number, name))
        })
}

/// The requested commit, branch or tag; `refs/heads/main^{0d5f3e6…}` is a branch and its commit.
fn source<'j>(job: &'j Job<'_>) -> Option<(&'j str, Option<&'j str>)> {
    let version = job.get("CODEBUILD_SOURCE_VERSION")?;
    Some(match version.split_once("^{") {
        Some((name, commit)) => (name, Some(commit.trim_end_matches('}'))),
        None if commit_sha(version).is_ok() => ("", Some(version)),
        None => (version, None),
    })
}

fn commit_of_source(job: &Job<'_>) -> Option<Found> {
    let (name, commit) = source(job)?;
    let is_merge = pull_request_of_ref(name).is_some_and(|pull_request| pull_request.is_merge);
    let commit = commit.filter(|_| !is_merge)?;
    Some(job.made(commit, "CODEBUILD_SOURCE_VERSION"))
}

/// The source in S3 has an address or a version there, which are no branches.
fn branch_of_source(job: &Job<'_>) -> Option<Found> {
    let (name, _) = source(job)?;
    let is_in_git = job.get("CODEBUILD_SOURCE_REPO_URL").is_some();
    let number = name.strip_prefix('v').unwrap_or(name);
    let looks_like_a_tag = number.starts_with(|c: char| c.is_ascii_digit()) && number.contains('.');
    (is_in_git && !looks_like_a_tag && !name.contains(':')).then(|| job.made(name, "CODEBUILD_SOURCE_VERSION"))
}

/// `branch/main`; a tag is `tag/v1`.
fn trigger_branch(job: &Job<'_>) -> Option<Found> {
    let name = "CODEBUILD_WEBHOOK_TRIGGER";
    Some(job.made(job.get(name)?.strip_prefix("branch/")?, name))
}

/// The console's page.
fn run_page(job: &Job<'_>) -> Option<Found> {
    let (region, account) = place(job)?;
    let (project, build, variable) = id(job)?;
    let (region, account) = (path_segment(region), path_segment(account));
    let (project, build) = (path_segment(project), path_segment(build));
    // China and the American government have consoles of their own; other partitions' are not known.
    let domain = match job.get("CODEBUILD_BUILD_ARN")?.split(':').nth(1)? {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    let url =
        format!("https://{region}.{domain}/codesuite/codebuild/{account}/projects/{project}/build/{project}%3A{build}");
    Some(job.made(url, variable))
}
