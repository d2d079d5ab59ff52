//! `pipefold source`: the list, and the result of a delivery without a server.

use pipefold_tests::{Ci, Output};
use serde_json::{Value, json};

const SHA: &str = "ffac537e6cbbf934b08745a378932722df287a53";

fn test(ci: &Ci, arguments: &[&str], body: &str) -> Output {
    ci.pipefold([&["source", "test"], arguments].concat()).stdin(body).run()
}

fn delivery(conclusion: &str) -> Value {
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 7, "name": "Build", "run_attempt": 1, "event": "push", "status": "completed", "conclusion": conclusion, "head_branch": "main",
            "head_sha": SHA, "pull_requests": [], "run_started_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:05:00Z",
        },
        "repository": { "id": 1, "full_name": "acme/web", "html_url": "https://github.com/acme/web" },
    })
}

#[test]
fn the_result_is_that_of_a_collector() {
    let ci = Ci::new();
    let output = test(
        &ci,
        &["github", "--header", "X-GitHub-Event: workflow_run"],
        &delivery("failure").to_string(),
    );
    let run = json!({
        "pipeline_name": "Build", "pipeline_source": "GitHub Actions", "reference_id": "github/github.com/acme/web/7/1", "status": "failure",
        "started_at": "2026-03-01T10:00:00Z", "finished_at": "2026-03-01T10:05:00Z", "repository": "acme/web", "commit_sha": SHA,
        "head_branch": "main", "source_url": "https://github.com/acme/web/actions/runs/7/attempts/1",
    });
    let request = json!({ "path": "/api/pipelineRuns.upsert", "body": run });
    let verdict = json!({ "verdict": "report", "run": run, "jobs": [] });
    let expected = json!({ "notifications": [run], "verdicts": [verdict], "requests": [request] });
    assert_eq!(output.assert_code(0).json(), expected);
    assert!(ci.dx.requests().is_empty() && !ci.spool().exists());
}

#[test]
fn a_job_alone_begins_its_run() {
    let job = json!({
        "action": "completed",
        "workflow_job": {
            "run_id": 7, "run_attempt": 1, "workflow_name": "Build", "name": "unit", "conclusion": "success", "head_sha": SHA,
            "started_at": "2026-03-01T10:01:00Z", "completed_at": "2026-03-01T10:02:00Z",
        },
        "repository": { "full_name": "acme/web", "html_url": "https://github.com/acme/web" },
    });
    let output = test(
        &Ci::new(),
        &["github", "--header", "x-github-event:workflow_job"],
        &job.to_string(),
    );
    let answer = output.assert_code(0).json();
    let requests = answer["requests"].as_array().unwrap();
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/api/pipelineRuns.upsert", "/api/pipelineJobs.upsert"]);
    assert_eq!(
        (&requests[0]["body"]["status"], &requests[1]["body"]["status"]),
        (&json!("running"), &json!("success"))
    );
}

#[test]
fn what_is_not_taken_has_its_reason() {
    let ci = Ci::new();
    let ignored = test(&ci, &["github", "--header", "X-GitHub-Event: ping"], "{}");
    assert!(ignored.assert_code(0).json()["ignored"].is_string());
    let refused = test(&ci, &["github", "--header", "X-GitHub-Event: workflow_run"], "{}");
    assert!(refused.assert_code(2).json()["refused"].is_string());
    let mut early = delivery("success");
    early["workflow_run"]["name"] = json!("x".repeat(5000));
    let violated = test(
        &ci,
        &["github", "--header", "X-GitHub-Event: workflow_run"],
        &early.to_string(),
    );
    let answer = violated.assert_code(2).json();
    assert_eq!(answer["verdicts"][0]["violations"][0]["field"], "pipeline_name");
    for (arguments, body, why) in [
        (&["githb"][..], "", "did you mean `github`?"),
        (
            &["github", "--header", "X-GitHub-Event"],
            "",
            "give the name and the value",
        ),
        (&["github", "--setting", "a"], "", "give NAME=VALUE"),
        (
            &["ours=/nowhere.wasm"],
            "",
            "pipefold: source ours: cannot read /nowhere.wasm",
        ),
    ] {
        let output = test(&ci, arguments, body);
        assert!(output.assert_code(1).stderr().contains(why), "{output}");
    }
}

#[test]
fn all_sources_are_listed() {
    let ci = Ci::new();
    ci.operator(
        "[[source]]\nname = \"ours\"\nfile = \"ours.wasm\"\n\n[[source]]\nname = \"second\"\nuse = \"gitlab\"\n",
    );
    let list = |more: &[&str]| ci.pipefold([more, &["source", "list"]].concat()).run();
    let text = list(&[]).assert_code(0).stdout();
    assert_eq!(text.lines().count(), 15);
    assert!(
        text.contains("github     built-in") && text.lines().last().unwrap().starts_with("second "),
        "{text}"
    );
    let listed = list(&["--json"]).assert_code(0).json();
    assert_eq!(
        listed[14],
        json!({ "name": "second", "component": "built-in gitlab", "scheme": "gitlab" })
    );
    assert_eq!(listed[13]["scheme"], "token");
}
