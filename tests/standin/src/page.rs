//! The examples on DX's page for `pipelineRuns.upsert`.

use std::process::Command;

use serde_json::{Value, json};

/// The page's "Example request".
pub const EXAMPLE: &str = r#"curl -X POST https://yourinstance.getdx.net/api/pipelineRuns.upsert \
-H "Content-Type: application/json" \
-H "Authorization: Bearer xxxx-xxxxxxxxx-xxxx" \
-d '{
"pipeline_name": "build_panda_finder",
"pipeline_source": "Tekton",
"reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
"started_at": "2025-01-01T12:05:00",
"finished_at": "2025-01-01T12:10:00",
"status": "success"
}'"#;

/// The run's name in [`EXAMPLE`].
pub const ID: &str = "AA713E04-1880-4E17-8C49-4A41733DAFCF";

/// The table under "Usage info": start, finish and status of each notification. The page prints the finish as 11:46:67, which is no time
/// of day.
pub const TABLE: [(&str, Option<&str>, &str); 5] = [
    ("2025-01-01T11:25:18", None, "running"),
    ("2025-01-01T11:25:21", None, "success"),
    ("2025-01-01T11:24:40", None, "failure"),
    ("2025-01-01T11:25:21", None, "running"),
    ("2025-01-01T11:26:07", Some("2025-01-01T11:46:07"), "success"),
];

/// The rows of [`TABLE`] as upserts of one run.
#[must_use]
pub fn upserts(reference_id: &str) -> [Value; 5] {
    TABLE.map(|(started_at, finished_at, status)| {
        let mut upsert = json!({
            "pipeline_name": "test_run", "pipeline_source": "Tekton", "reference_id": reference_id, "started_at": started_at, "status": status,
        });
        if let Some(finished_at) = finished_at {
            upsert["finished_at"] = finished_at.into();
        }
        upsert
    })
}

/// The record that the page derives from [`TABLE`].
#[must_use]
pub fn record(reference_id: &str) -> Value {
    json!({
        "pipeline_name": "test_run", "pipeline_source": "Tekton", "reference_id": reference_id,
        "started_at": "2025-01-01T11:24:40Z", "finished_at": "2025-01-01T11:46:07Z", "status": "failure",
    })
}

/// Runs a `curl` command of the page's form against this server and returns the answer's body; none on a machine without curl.
///
/// # Panics
/// If curl fails or the answer is not JSON.
#[must_use]
pub fn curl(command: &str, url: &str, token: &str) -> Option<Value> {
    Command::new("curl").arg("--version").output().ok()?;
    let command = command
        .replace("https://yourinstance.getdx.net", url)
        .replace("xxxx-xxxxxxxxx-xxxx", token)
        // The proxy of the machine must not see it; progress is noise.
        .replace("curl ", "curl --noproxy '*' --silent --show-error ");
    let output = Command::new("sh").args(["-c", &command]).output();
    let output = output.unwrap_or_else(|why| panic!("sh: {why}"));
    assert!(output.status.success(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}")))
}
