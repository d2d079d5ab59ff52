//! Xcode Cloud ("Environment variable reference" in Apple's documentation of Xcode).

use super::sourcehut::of_git;
use crate::detect::job::Job;
use crate::detect::systems::Source::{By, OutsidePr, Var};
use crate::detect::systems::{Found, System};

pub const XCODE_CLOUD: System = System {
    name: "Xcode Cloud",
    id: "xcode-cloud",
    reference: "https://developer.apple.com/documentation/xcode/environment-variable-reference",
    marks: &[&["CI_XCODE_CLOUD"], &["CI_XCODEBUILD_ACTION", "CI_BUILD_ID"]],
    pipeline: &[By("`CI_PRODUCT` and `CI_WORKFLOW`", pipeline)],
    workflow: &[Var("CI_WORKFLOW")],
    job: &[Var("CI_XCODEBUILD_ACTION")],
    host: &[Var("CI_TEAM_ID")],
    scope: &[Var("CI_PRODUCT_ID"), Var("CI_PRODUCT")],
    // A UUID; the same in each action, and new for a rebuild.
    run: &[Var("CI_BUILD_ID"), Var("CI_BUILD_NUMBER")],
    repository: &[
        Var("CI_PULL_REQUEST_TARGET_REPO"),
        By("the remote of the git repository that the command runs in", of_git),
    ],
    sha: &[Var("CI_PULL_REQUEST_SOURCE_COMMIT"), Var("CI_COMMIT")],
    pr: &[Var("CI_PULL_REQUEST_NUMBER")],
    pr_page: &[Var("CI_PULL_REQUEST_HTML_URL")],
    url: &[Var("CI_BUILD_URL")],
    branch: &[Var("CI_PULL_REQUEST_SOURCE_BRANCH"), OutsidePr("CI_BRANCH")],
    tag: &[Var("CI_TAG")],
    left_out: &[
        (
            "the repository outside pull requests and checkouts",
            "no variable names it",
        ),
        ("an attempt", "a rebuild has an id of its own"),
        ("who started it", "no variable names a person"),
    ],
    ..System::NONE
};

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let workflow = job.found("CI_WORKFLOW")?;
    Some(match job.get("CI_PRODUCT") {
        Some(product) => job.made(format!("{product} / {}", workflow.value), "CI_WORKFLOW"),
        None => workflow,
    })
}
