//! A source in Rust: the deliveries of Kiln, a CI system that is made up.

use exports::pipefold::ci::translating::{Delivery, Guest, Translation};
use exports::pipefold::ci::types::Notification;
use serde::Deserialize;

wit_bindgen::generate!({
    path: "../../../wit",
    world: "source",
    additional_type_attributes: { "pipefold:ci/types@0.2.0/notification": [#[derive(Default)]] },
});

/// The fields of a delivery that this source reads. A field that Kiln adds changes nothing, and one that it leaves out is absent.
#[derive(Deserialize)]
struct Event {
    build: Build,
}

#[derive(Deserialize)]
struct Build {
    id: u64,
    url: String,
    pipeline: String,
    repository: String,
    started: String,
    ended: Option<String>,
    result: Option<String>,
    commit: Option<String>,
    branch: Option<String>,
    pull_request: Option<i64>,
    person: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    started: Option<String>,
    ended: Option<String>,
    result: Option<String>,
}

struct Kiln;

impl Guest for Kiln {
    fn translate(delivery: Delivery) -> Result<Translation, String> {
        let event = header(&delivery, "x-kiln-event").ok_or("the header X-Kiln-Event is missing")?;
        if !event.starts_with("build.") {
            return Ok(Translation::Ignored("the event is about no build".into()));
        }
        let Event { build } = serde_json::from_str(&delivery.body).map_err(|why| in_short(&why))?;
        if let Some(only) = setting(&delivery, "only")
            && !build.repository.starts_with(only)
        {
            return Ok(Translation::Ignored(format!("its repository is not below {only}")));
        }
        Ok(Translation::Notifications(notifications(build)))
    }
}

/// One notification of the run, and one of each step.
fn notifications(build: Build) -> Vec<Notification> {
    // Every notification says of which run it is.
    let run = Notification {
        pipeline_name: Some(build.pipeline),
        pipeline_source: Some("Kiln".into()),
        reference_id: Some(format!("kiln/{}/{}", build.repository, build.id)),
        ..Notification::default()
    };
    let steps = build.steps.into_iter().map(|step| Notification {
        step: Some(step.name),
        started_at: step.started,
        finished_at: step.ended,
        status: status(step.result),
        ..run.clone()
    });
    let steps: Vec<_> = steps.collect();
    let whole = Notification {
        started_at: Some(build.started),
        finished_at: build.ended,
        status: status(build.result),
        repository: Some(build.repository),
        commit_sha: build.commit,
        pr_number: build.pull_request,
        source_url: Some(build.url),
        head_branch: build.branch,
        email: build.person,
        ..run
    };
    [vec![whole], steps].concat()
}

/// DX's word for a result of Kiln. What is not known yet, or not known to this source, has none.
fn status(result: Option<String>) -> Option<String> {
    let status = match result?.as_str() {
        "passed" => "success",
        "failed" => "failure",
        "stopped" => "cancelled",
        "running" => "running",
        _ => return None,
    };
    Some(status.into())
}

/// The error of a body. It may quote a value of any length, and an answer has one short line.
fn in_short(why: &serde_json::Error) -> String {
    let why: String = why.to_string().chars().take(200).collect();
    format!("the body is no event of Kiln: {why}")
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a str> {
    let found = delivery.headers.iter().find(|header| header.name == name)?;
    Some(&found.value)
}

fn setting<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a str> {
    let found = delivery.settings.iter().find(|setting| setting.name == name)?;
    Some(&found.value)
}

export!(Kiln);
