//! Travis CI ("Environment variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, OutsidePr, Unmerged, Var};
use crate::detect::systems::{Found, System};

pub const TRAVIS: System = System {
    name: "Travis CI",
    id: "travis",
    reference: "https://docs.travis-ci.com/user/environment-variables/#default-environment-variables",
    marks: &[&["TRAVIS"], &["TRAVIS_JOB_NUMBER"]],
    pipeline: &[Var("TRAVIS_REPO_SLUG")],
    workflow: &[Var("TRAVIS_BUILD_STAGE_NAME")],
    job: &[Var("TRAVIS_JOB_NAME"), Var("TRAVIS_JOB_NUMBER")],
    scope: &[Var("TRAVIS_REPO_SLUG")],
    run: &[
        Var("TRAVIS_BUILD_ID"),
        Var("TRAVIS_BUILD_NUMBER"),
        By("the build in `TRAVIS_JOB_NUMBER`", build_of_job),
    ],
    repository: &[Var("TRAVIS_REPO_SLUG")],
    sha: &[Var("TRAVIS_PULL_REQUEST_SHA"), Unmerged("TRAVIS_COMMIT")],
    pr: &[Var("TRAVIS_PULL_REQUEST")],
    url: &[Var("TRAVIS_BUILD_WEB_URL")],
    // Of a pull request the second is the target.
    branch: &[Var("TRAVIS_PULL_REQUEST_BRANCH"), OutsidePr("TRAVIS_BRANCH")],
    tag: &[Var("TRAVIS_TAG")],
    left_out: &[
        (
            "`TRAVIS_JOB_RESTARTED`",
            "it is of one job: the others of the build do not have it, and the build would fall apart",
        ),
        (
            "`TRAVIS_COMMIT`, `TRAVIS_BRANCH` of a pull request",
            "they are a trial merge and the target",
        ),
    ],
    ..System::NONE
};

/// Jobs are numbered `7.1`, `7.2` in build 7.
fn build_of_job(job: &Job<'_>) -> Option<Found> {
    let (build, _) = job.get("TRAVIS_JOB_NUMBER")?.split_once('.')?;
    Some(job.made(build, "TRAVIS_JOB_NUMBER"))
}
