//! Concourse ("Metadata" of resource types in its documentation): only containers of `get` and `put` steps have these.

use crate::detect::job::Job;
use crate::detect::system::Source::{By, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{path_segment, server};

pub(super) const CONCOURSE: System = System {
    name: "Concourse",
    id: "concourse",
    marks: &[&["ATC_EXTERNAL_URL"], &["BUILD_TEAM_NAME", "BUILD_PIPELINE_NAME"]],
    pipeline: &[Var("BUILD_PIPELINE_NAME")],
    job: &[Var("BUILD_JOB_NAME")],
    host: &[Var("ATC_EXTERNAL_URL")],
    scope: &[By(pipeline)],
    run: &[Var("BUILD_ID")],
    url: &[Var("BUILD_URL"), By(run_page)],
    // Often a login: then it is no address.
    email: &[Var("BUILD_CREATED_BY")],
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
