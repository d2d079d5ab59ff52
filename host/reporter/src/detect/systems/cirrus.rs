//! Cirrus CI ("Environment variables" in "Writing tasks" of its documentation).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::path_segment;

pub const CIRRUS: System = System {
    name: "Cirrus CI",
    id: "cirrus",
    reference: "https://cirrus-ci.org/guide/writing-tasks/#environment-variables",
    marks: &[&["CIRRUS_CI"]],
    pipeline: &[Var("CIRRUS_REPO_FULL_NAME")],
    job: &[Var("CIRRUS_TASK_NAME")],
    scope: &[Var("CIRRUS_REPO_FULL_NAME"), Address("CIRRUS_REPO_CLONE_URL")],
    run: &[Var("CIRRUS_BUILD_ID")],
    repository: &[Var("CIRRUS_REPO_FULL_NAME"), Address("CIRRUS_REPO_CLONE_URL")],
    sha: &[Var("CIRRUS_CHANGE_IN_REPO")],
    pr: &[Var("CIRRUS_PR")],
    url: &[By("`CIRRUS_BUILD_ID` on cirrus-ci.com", run_page)],
    // Of a pull request it is pull/7.
    branch: &[OutsidePr("CIRRUS_BRANCH")],
    tag: &[Var("CIRRUS_TAG")],
    left_out: &[
        ("`CIRRUS_BRANCH` of a pull request", "it is `pull/7`"),
        (
            "`CIRRUS_TASK_ID`",
            "it is of one task; a task that is run again keeps the build's id, and no variable counts that",
        ),
        ("who started it", "no variable names a person"),
    ],
    ..System::NONE
};

fn run_page(job: &Job<'_>) -> Option<Found> {
    let build = path_segment(job.get("CIRRUS_BUILD_ID")?);
    Some(job.made(format!("https://cirrus-ci.com/build/{build}"), "CIRRUS_BUILD_ID"))
}
