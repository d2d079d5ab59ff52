//! AWS CodeBuild ("Environment variables in build environments" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, OutsidePr, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::path_segment;

pub(super) const CODEBUILD: System = System {
    name: "AWS CodeBuild",
    id: "codebuild",
    marks: &[&["CODEBUILD_BUILD_ID"], &["CODEBUILD_BUILD_ARN"]],
    pipeline: &[By(project)],
    job: &[Var("CODEBUILD_BATCH_BUILD_IDENTIFIER")],
    host: &[By(account)],
    scope: &[By(project)],
    run: &[By(build)],
    repository: &[Var("CODEBUILD_SOURCE_REPO_URL")],
    sha: &[
        Var("CODEBUILD_RESOLVED_SOURCE_VERSION"),
        OutsidePr("CODEBUILD_SOURCE_VERSION"),
    ],
    pr: &[By(number)],
    url: &[By(public_page), By(run_page)],
    branch: &[Var("CODEBUILD_WEBHOOK_HEAD_REF"), By(trigger_branch)],
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

/// Region and account of the ARN, of which only those two are wanted: `(region, account)`.
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

/// `pr/7`.
fn number(job: &Job<'_>) -> Option<Found> {
    ["CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION"]
        .into_iter()
        .find_map(|name| Some(job.made(job.get(name)?.strip_prefix("pr/")?, name)))
}

/// `branch/main`; a tag is `tag/v1`.
fn trigger_branch(job: &Job<'_>) -> Option<Found> {
    let name = "CODEBUILD_WEBHOOK_TRIGGER";
    Some(job.made(job.get(name)?.strip_prefix("branch/")?, name))
}

/// Where builds are shown to everyone, they have a page that needs no account.
fn public_page(job: &Job<'_>) -> Option<Found> {
    job.found("CODEBUILD_PUBLIC_BUILD_URL")
}

/// The console's page.
fn run_page(job: &Job<'_>) -> Option<Found> {
    let (region, account) = place(job)?;
    let (project, build, variable) = id(job)?;
    let (region, account) = (path_segment(region), path_segment(account));
    let (project, build) = (path_segment(project), path_segment(build));
    let url = format!(
        "https://{region}.console.aws.amazon.com/codesuite/codebuild/{account}/projects/{project}/build/{project}%3A{build}"
    );
    Some(job.made(url, variable))
}
