//! Google Cloud Build ("Substituting variable values" in its documentation). A step sees only what its build file maps into `env`.

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, OutsidePr, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::path_segment;

pub const CLOUDBUILD: System = System {
    name: "Google Cloud Build",
    id: "cloudbuild",
    reference: "https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values",
    marks: &[
        &["BUILDER_OUTPUT"],
        &["BUILD_ID", "PROJECT_ID"],
        &["BUILD_ID", "TRIGGER_NAME"],
    ],
    pipeline: &[Var("TRIGGER_NAME")],
    host: &[Var("PROJECT_ID"), Var("GOOGLE_CLOUD_PROJECT")],
    scope: &[
        Var("TRIGGER_NAME"),
        Var("REPO_FULL_NAME"),
        Var("REPO_NAME"),
        Var("PROJECT_ID"),
    ],
    run: &[Var("BUILD_ID")],
    repository: &[Var("REPO_FULL_NAME"), Var("_REPO_FULL_NAME"), Var("REPO_NAME")],
    sha: &[Var("COMMIT_SHA"), Var("REVISION_ID")],
    pr: &[Var("_PR_NUMBER")],
    url: &[By("`LOCATION`, `BUILD_ID` and `PROJECT_ID`", run_page)],
    branch: &[Var("_HEAD_BRANCH"), OutsidePr("BRANCH_NAME")],
    tag: &[Var("TAG_NAME")],
    left_out: &[
        (
            "what the build file does not map into `env`",
            "a step sees no other variables",
        ),
        (
            "the page of the run without `LOCATION`",
            "a build has no page in another region than its own",
        ),
        (
            "`BRANCH_NAME` of a pull request",
            "it may be the target; `_HEAD_BRANCH` is the branch",
        ),
        ("an attempt", "a build that is retried has an id of its own"),
    ],
    ..System::NONE
};

/// The console's page.
fn run_page(job: &Job<'_>) -> Option<Found> {
    let (build, project) = (path_segment(job.get("BUILD_ID")?), path_segment(job.get("PROJECT_ID")?));
    let region = path_segment(job.get("LOCATION")?);
    let url = format!("https://console.cloud.google.com/cloud-build/builds;region={region}/{build}?project={project}");
    Some(job.made(url, "BUILD_ID"))
}
