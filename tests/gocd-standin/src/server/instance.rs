//! A pipeline's run in the JSON API (GoCD API, "Get pipeline instance"), which has the run's own revisions.

use serde_json::{Value, json};

use super::answer::Answer;
use super::routes::Asked;
use crate::history::{Change, Kind};

pub(super) fn answer(asked: &Asked<'_>, pipeline: &str, counter: &str) -> Answer {
    let refusal = |status, message: String| {
        let body = json!({ "message": message }).to_string();
        Answer::new(status, "application/vnd.go.cd.v1+json;charset=utf-8", body)
    };
    let Some((pipeline, run)) = asked.run(pipeline, counter) else {
        return refusal(404, format!("Pipeline instance '{pipeline}/{counter}' was not found!"));
    };
    if asked.is_hidden(pipeline) {
        return refusal(403, "You are not authorized to access this resource.".to_owned());
    }
    let revisions: Vec<Value> = pipeline
        .materials
        .iter()
        .zip(&run.revisions)
        .map(|(material, changes)| {
            let (kind, description) = match material.kind {
                Kind::Git { url, branch } => ("Git", format!("URL: {url}, Branch: {branch}")),
                Kind::Mercurial { url } => ("Mercurial", format!("URL: {url}")),
                Kind::Dependency { pipeline, stage } => ("Pipeline", format!("{pipeline} [ {stage} ]")),
                Kind::Package { repository, package } => {
                    ("Package", format!("Repository: [{repository}] Package: [{package}]"))
                }
            };
            let modification = |change: &Change| {
                json!({
                    "revision": change.revision,
                    "modified_time": change.checked_in.timestamp_millis(),
                    "user_name": change.author.map(|author| author.text),
                    "comment": "A change & what it is <for>",
                    "email_address": null,
                })
            };
            let modifications: Vec<Value> = changes
                .iter()
                .map(|change| modification(&material.changes[*change]))
                .collect();
            json!({
                "changed": true,
                "material": { "name": description, "fingerprint": "f6e7", "type": kind, "description": description },
                "modifications": modifications,
            })
        })
        .collect();
    let first = run.stages.first();
    let body = json!({
        "name": pipeline.name.as_str(),
        "counter": run.counter.get(),
        "label": format!("1.0-{}", run.counter),
        "natural_order": run.counter.get(),
        "can_run": true,
        "preparing_to_schedule": false,
        "comment": null,
        "scheduled_date": first.map(|stage| stage.scheduled.time.timestamp_millis()),
        "build_cause": {
            "trigger_message": "modified by somebody",
            "trigger_forced": false,
            "approver": "",
            "material_revisions": revisions,
        },
        "stages": [],
    });
    Answer::new(200, "application/vnd.go.cd.v1+json;charset=utf-8", body.to_string())
}
