//! Concourse ("Metadata" of resource types in its documentation): only containers of `get` and `put` steps have these.

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{path_segment, server};

pub const CONCOURSE: System = System {
    name: "Concourse",
    id: "concourse",
    reference: "https://concourse-ci.org/docs/resource-types/implementing/#resource-metadata",
    marks: &[&["ATC_EXTERNAL_URL"], &["BUILD_TEAM_NAME", "BUILD_PIPELINE_NAME"]],
    pipeline: &[Var("BUILD_PIPELINE_NAME")],
    job: &[Var("BUILD_JOB_NAME")],
    host: &[Var("ATC_EXTERNAL_URL")],
    scope: &[By("`BUILD_TEAM_NAME` and `BUILD_PIPELINE_NAME`", pipeline)],
    run: &[Var("BUILD_ID")],
    url: &[
        Var("BUILD_URL"),
        By("`ATC_EXTERNAL_URL`, team, pipeline, job and `BUILD_NAME`", run_page),
    ],
    // Often a login: then it is no address.
    email: &[Var("BUILD_CREATED_BY")],
    left_out: &[
        (
            "repository, commit and branch",
            "they are a resource's, and no variable of the build has them",
        ),
        (
            "a page for `BUILD_PIPELINE_INSTANCE_VARS`",
            "without `BUILD_URL` the pipeline's page is another instance's",
        ),
        ("an attempt", "a build that is run again has an id of its own"),
    ],
    ..System::NONE
};

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let pipeline = job.get("BUILD_PIPELINE_NAME")?;
    let team = job
        .get("BUILD_TEAM_NAME")
        .map_or(String::new(), |team| format!("{team}/"));
    Some(job.made(format!("{team}{pipeline}"), "BUILD_PIPELINE_NAME"))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    if job.get("BUILD_PIPELINE_INSTANCE_VARS").is_some() {
        return None;
    }
    let mut url = server(job.get("ATC_EXTERNAL_URL")?)?;
    for (kind, name) in [
        ("teams", "BUILD_TEAM_NAME"),
        ("pipelines", "BUILD_PIPELINE_NAME"),
        ("jobs", "BUILD_JOB_NAME"),
        ("builds", "BUILD_NAME"),
    ] {
        url.push_str(&format!("/{kind}/{}", path_segment(job.get(name)?)));
    }
    Some(job.made(url, "ATC_EXTERNAL_URL"))
}
