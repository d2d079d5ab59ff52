//! AppVeyor ("Environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, OutsidePr, Pushed, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{path_segment, server};

pub const APPVEYOR: System = System {
    name: "AppVeyor",
    id: "appveyor",
    reference: "https://www.appveyor.com/docs/environment-variables/",
    marks: &[&["APPVEYOR"], &["APPVEYOR_BUILD_ID"]],
    pipeline: &[Var("APPVEYOR_REPO_NAME"), Var("APPVEYOR_PROJECT_SLUG")],
    workflow: &[Var("APPVEYOR_PROJECT_NAME")],
    job: &[Var("APPVEYOR_JOB_NAME")],
    host: &[Var("APPVEYOR_ACCOUNT_NAME")],
    scope: &[Var("APPVEYOR_PROJECT_SLUG"), Var("APPVEYOR_REPO_NAME")],
    run: &[Var("APPVEYOR_BUILD_ID")],
    attempt: &[By(
        "the word `again`, if `APPVEYOR_RE_RUN_INCOMPLETE` or `APPVEYOR_RE_BUILD` is true",
        again,
    )],
    repository: &[Var("APPVEYOR_REPO_NAME")],
    sha: &[
        Var("APPVEYOR_PULL_REQUEST_HEAD_COMMIT"),
        Unmerged("APPVEYOR_REPO_COMMIT"),
    ],
    pr: &[Var("APPVEYOR_PULL_REQUEST_NUMBER")],
    is_pr: |job| job.get("APPVEYOR_PULL_REQUEST_HEAD_COMMIT").is_some(),
    is_push: |job| {
        !["SCHEDULED_BUILD", "FORCED_BUILD", "RE_BUILD", "RE_RUN_INCOMPLETE"]
            .iter()
            .any(|name| job.is_true(&format!("APPVEYOR_{name}")))
    },
    url: &[By("`APPVEYOR_URL`, the project and `APPVEYOR_BUILD_ID`", run_page)],
    // Of a pull request the second is the target.
    branch: &[
        Var("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH"),
        OutsidePr("APPVEYOR_REPO_BRANCH"),
    ],
    tag: &[Var("APPVEYOR_REPO_TAG_NAME")],
    email: &[Pushed("APPVEYOR_REPO_COMMIT_AUTHOR_EMAIL")],
    left_out: &[
        (
            "`APPVEYOR_REPO_COMMIT`, `APPVEYOR_REPO_BRANCH` of a pull request",
            "they are a trial merge and the target",
        ),
        (
            "the number of an attempt",
            "all jobs of a re-run know that it is one, and not which: a second re-run meets the first in one record",
        ),
    ],
    ..System::NONE
};

/// A re-run of failed jobs keeps the build's number; a variable only says that it is a re-run.
fn again(job: &Job<'_>) -> Option<Found> {
    let names = ["APPVEYOR_RE_RUN_INCOMPLETE", "APPVEYOR_RE_BUILD"];
    let name = names.into_iter().find(|name| job.is_true(name))?;
    Some(job.made("again", name))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let server = job
        .get("APPVEYOR_URL")
        .map_or(Some("https://ci.appveyor.com".into()), server)?;
    let account = job.get("APPVEYOR_ACCOUNT_NAME").zip(job.get("APPVEYOR_PROJECT_SLUG"));
    let project = account.map(|(account, slug)| format!("{account}/{slug}"));
    let project = project.or_else(|| job.get("APPVEYOR_REPO_NAME").map(str::to_owned))?;
    let build = path_segment(job.get("APPVEYOR_BUILD_ID")?);
    let url = format!("{server}/project/{}/builds/{build}", path_segment(&project));
    Some(job.made(url, "APPVEYOR_BUILD_ID"))
}
