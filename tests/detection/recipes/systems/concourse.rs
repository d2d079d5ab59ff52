//! Concourse: a resource type.

use serde_json::json;

use crate::recipes::{Recipe, Script, Secrets, blocks, document};

/// The variables that Concourse sets in the containers of puts.
const BUILD: &[(&str, &str)] = &[
    ("BUILD_ID", "90210"),
    ("BUILD_NAME", "42"),
    ("BUILD_JOB_NAME", "test"),
    ("BUILD_PIPELINE_NAME", "some_repo"),
    ("BUILD_TEAM_NAME", "main"),
    ("BUILD_TEAM_ID", "1"),
    ("ATC_EXTERNAL_URL", "https://concourse.example.com"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Concourse",
        jobs: [BUILD, BUILD],
        start: |secrets| put(secrets, "/jobs/0/plan/1/try"),
        end: |secrets, outcome| {
            let hooks: &[&str] = outcome.of([&["on_success"], &["on_failure", "on_error"], &["on_abort"]]);
            hooks
                .iter()
                .map(|hook| put(secrets, &format!("/jobs/0/{hook}/try")))
                .collect()
        },
        tells_of_cancelling: true,
        needs: Some("jq"),
    }
}

/// The script `out`, with what the put at this place of the pipeline sends it.
fn put(secrets: &Secrets, pointer: &str) -> Script {
    let pipeline = document("concourse/pipeline.yml");
    let put = pipeline.pointer(pointer).unwrap();
    assert_eq!(put["put"], "dx");
    let mut source = pipeline["resources"][0]["source"].clone();
    assert_eq!(source["dx_api_token"], "((dx_api_token))");
    let [url, token] = secrets.or(["", ""]);
    source["dx_api_url"] = url.into();
    source["dx_api_token"] = token.into();
    Script {
        text: blocks("concourse/out").remove(0),
        stdin: json!({ "source": source, "params": put["params"] }).to_string(),
        ..Script::default()
    }
}
