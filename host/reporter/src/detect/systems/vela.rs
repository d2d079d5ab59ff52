//! Vela ("Variables" in the reference of its documentation).

use crate::detect::systems::Source::{Address, OutsidePr, Pushed, Var};
use crate::detect::systems::System;

pub const VELA: System = System {
    name: "Vela",
    id: "vela",
    reference: "https://go-vela.github.io/docs/reference/environment/variables/",
    marks: &[&["VELA"], &["VELA_BUILD_NUMBER", "VELA_REPO_FULL_NAME"]],
    pipeline: &[Var("VELA_REPO_FULL_NAME")],
    job: &[Var("VELA_STEP_STAGE")],
    step: &[Var("VELA_STEP_NAME")],
    host: &[Var("VELA_ADDR"), Var("VELA_SERVER_ADDR")],
    scope: &[Var("VELA_REPO_FULL_NAME"), Address("VELA_BUILD_CLONE")],
    // A build that is restarted has a new one.
    run: &[Var("VELA_BUILD_NUMBER")],
    repository: &[Var("VELA_REPO_FULL_NAME"), Address("VELA_BUILD_CLONE")],
    sha: &[Var("VELA_BUILD_COMMIT")],
    pr: &[Var("VELA_PULL_REQUEST"), Var("VELA_BUILD_PULL_REQUEST")],
    is_pr: |job| job.is_one_of("VELA_BUILD_EVENT", &["pull_request"], false),
    is_push: |job| job.is_one_of("VELA_BUILD_EVENT", &["push", "tag"], true),
    url: &[Var("VELA_BUILD_LINK")],
    // Of a pull request the second is the target.
    branch: &[Var("VELA_PULL_REQUEST_SOURCE"), OutsidePr("VELA_BUILD_BRANCH")],
    tag: &[Var("VELA_BUILD_TAG")],
    email: &[Pushed("VELA_BUILD_AUTHOR_EMAIL")],
    left_out: &[
        ("`VELA_BUILD_BRANCH` of a pull request", "it is the target"),
        (
            "`VELA_BUILD_SENDER`",
            "it is a user of whatever host the server is connected to",
        ),
        ("an attempt", "a build that is restarted has a number of its own"),
    ],
    ..System::NONE
};
