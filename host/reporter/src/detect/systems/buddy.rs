//! Buddy ("Default environment variables" in its documentation): `BUDDY_RUN_…`, and `BUDDY_EXECUTION_…` as they were called before.

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Var};
use crate::detect::systems::{Found, System};

pub const BUDDY: System = System {
    name: "Buddy",
    id: "buddy",
    reference: "https://buddy.works/docs/pipelines/environment-variables",
    marks: &[&["BUDDY"], &["BUDDY_EXECUTION_ID"], &["BUDDY_RUN_ID"]],
    pipeline: &[Var("BUDDY_PIPELINE_NAME")],
    step: &[Var("BUDDY_ACTION_NAME")],
    host: &[Var("BUDDY_WORKSPACE_DOMAIN"), Var("BUDDY_WORKSPACE_ID")],
    scope: &[
        By("`BUDDY_PROJECT_NAME` and `BUDDY_PIPELINE_ID`", pipeline),
        Address("BUDDY_SCM_URL"),
    ],
    // Counted for each pipeline.
    run: &[Var("BUDDY_EXECUTION_ID"), Var("BUDDY_RUN_ID")],
    repository: &[Address("BUDDY_SCM_URL"), Var("BUDDY_REPO_SLUG")],
    sha: &[Var("BUDDY_EXECUTION_REVISION"), Var("BUDDY_RUN_COMMIT")],
    pr: &[Var("BUDDY_RUN_PR_NO"), Var("BUDDY_EXECUTION_PULL_REQUEST_NO")],
    url: &[Var("BUDDY_EXECUTION_URL"), Var("BUDDY_RUN_URL")],
    branch: &[
        Var("BUDDY_RUN_PR_HEAD_BRANCH"),
        Var("BUDDY_EXECUTION_BRANCH"),
        Var("BUDDY_RUN_BRANCH"),
    ],
    tag: &[Var("BUDDY_EXECUTION_TAG"), Var("BUDDY_RUN_TAG")],
    email: &[Var("BUDDY_TRIGGERING_ACTOR_EMAIL"), Var("BUDDY_INVOKER_EMAIL")],
    left_out: &[("an attempt", "a run that is repeated has a number of its own")],
    ..System::NONE
};

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let id = job.get("BUDDY_PIPELINE_ID")?;
    let project = job
        .get("BUDDY_PROJECT_NAME")
        .map_or(String::new(), |project| format!("{project}/"));
    Some(job.made(format!("{project}{id}"), "BUDDY_PIPELINE_ID"))
}
