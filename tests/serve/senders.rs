//! Requests as senders in use make them, besides those of DX's page, at a gateway in front of DX.

use pipefold_tests::{Collector, Standin, eventually};
use serde_json::{Value, json};

/// A collector that forwards to a DX.
fn gateway(dx: &Standin, dir: &std::path::Path) -> Collector {
    let token = dir.join("token");
    std::fs::write(&token, dx.token()).unwrap();
    let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
    Collector::start_with(&dir.join("data"), &["--forward-to", &url, "--token-file", &token])
}

/// The body of DX's plugin for Jenkins: unix seconds, Jenkins' result in lower case, empty texts for what it does not know, and an argument of its own.
fn of_the_jenkins_plugin() -> Value {
    json!({
        "pipeline_name": "folder/web", "pipeline_source": "jenkins", "reference_id": "folder/web #17", "source_id": "folder/web",
        "started_at": 1_735_733_100, "finished_at": 1_735_733_400, "status": "unstable",
        "repository": "octo/web", "source_url": "https://github.com/octo/web.git", "head_branch": "main",
        "commit_sha": "ab".repeat(20), "pr_number": "12", "email": "",
    })
}

#[test]
fn dx_gets_what_the_jenkins_plugin_means() {
    let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
    let collector = gateway(&dx, dir.path());
    let body = of_the_jenkins_plugin().to_string();
    let path = "/api/pipelineRuns.sync";
    let answer = collector
        .client()
        .ask("POST", path, "application/json", body.as_bytes())
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("source_id"), "{warnings}");
    eventually("DX has the run", || dx.records().contains_key("folder/web #17"));
    let record = &dx.records()["folder/web #17"];
    assert_eq!(record.status, "failure");
    assert_eq!(record.started_at, "2025-01-01T12:05:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
    assert_eq!(record.pr_number, Some(12));
    assert_eq!(record.others.get("email"), None);
}

#[test]
fn arguments_in_the_address_are_taken_where_there_is_no_body() {
    let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
    let collector = gateway(&dx, dir.path());
    let query =
        "pipeline_name=web&pipeline_source=tests&reference_id=query%201&started_at=1735733100000&status=aborted";
    let path = format!("/api/pipelineRuns.upsert?{query}");
    let mut client = collector.client();
    for content_type in ["", "application/json"] {
        let answer = client.ask("POST", &path, content_type, b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    eventually("DX has the run", || dx.records().contains_key("query 1"));
    assert_eq!(dx.records()["query 1"].status, "cancelled");
    // A body goes before the address.
    let answer = client.ask("POST", &path, "application/json", b"{}").unwrap();
    assert_eq!(
        (answer.status, answer.json()["error"].clone()),
        (422, json!("required_params_missing"))
    );
    let answer = client.ask("POST", "/api/pipelineRuns.upsert", "", b"").unwrap();
    assert_eq!(
        (answer.status, answer.json()["error"].clone()),
        (400, json!("invalid_json"))
    );
}
