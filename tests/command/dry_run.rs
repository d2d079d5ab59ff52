//! `--dry-run`: the exact request, with the token hidden; nothing is sent and nothing is written.

use pipefold_tests::{Ci, Output};
use serde_json::{Value, json};

/// Checks that nothing happened, and gives the output.
fn quiet(ci: &Ci, output: Output) -> Output {
    output.assert_code(0);
    assert!(ci.dx.requests().is_empty(), "{output}");
    assert!(!ci.spool().exists() || Ci::files(&ci.spool()).is_empty(), "{output}");
    assert!(
        !output.stdout().contains(ci.dx.token()) && !output.stderr().contains(ci.dx.token()),
        "{output}"
    );
    output
}

#[test]
fn the_request_as_one_json_object() {
    let ci = Ci::new();
    let fields = [
        "--repository",
        "getdx/some_repo",
        "--pr-number",
        "7",
        "--started-at",
        "2025-01-01T12:05:00",
    ];
    let output = quiet(
        &ci,
        ci.report(["start", "--dry-run", "--json"].into_iter().chain(fields))
            .run(),
    );
    assert_eq!(output.stdout().lines().count(), 1, "{output}");
    let request = output.json();
    assert_eq!(request["method"], "POST");
    assert_eq!(request["url"], format!("{}/api/pipelineRuns.upsert", ci.dx.url()));
    let expected = json!({
        "pipeline_name": "build", "pipeline_source": "tests", "reference_id": "run-1", "started_at": "2025-01-01T12:05:00Z",
        "status": "running", "repository": "getdx/some_repo", "pr_number": 7,
    });
    assert_eq!(request["body"], expected);
}

#[test]
fn the_request_is_the_one_that_is_sent() {
    let ci = Ci::new();
    let arguments = [
        "finish",
        "--status",
        "success",
        "--started-at",
        "2025-01-01T12:05:00",
        "--finished-at",
        "2025-01-01T12:10",
    ];
    let shown = quiet(
        &ci,
        ci.report(arguments.into_iter().chain(["--dry-run", "--json"])).run(),
    )
    .json();
    ci.report(arguments).run().assert_code(0);
    let sent = &ci.dx.requests()[0];
    assert_eq!(shown["body"], sent.json());
    assert_eq!(shown["method"], sent.method.as_str());
    assert_eq!(shown["url"], ci.dx.url() + &sent.path);
    let headers = shown["headers"].as_object().unwrap();
    for (name, value) in headers {
        let value = value.as_str().unwrap();
        let really = sent
            .header(&name.to_lowercase())
            .unwrap_or_else(|| panic!("{name} is not sent"));
        if name == "Authorization" {
            assert_eq!(really, format!("Bearer {}", ci.dx.token()));
            assert!(value.starts_with("Bearer "), "{value}");
        } else {
            assert_eq!(value, really, "{name}");
        }
    }
    assert!(
        headers.contains_key("Authorization") && headers.contains_key("Content-Type"),
        "{headers:?}"
    );
}

#[test]
fn a_finish_shows_the_whole_run() {
    let ci = Ci::new();
    ci.report(["start", "--started-at", "2025-01-01T12:00:00Z", "--head-branch", "main"])
        .run()
        .assert_code(0);
    ci.report([
        "step",
        "--step",
        "a",
        "--status",
        "failure",
        "--started-at",
        "2025-01-01T12:01:00Z",
    ])
    .run()
    .assert_code(0);
    let before = Ci::files(&ci.spool());
    let arguments = ["finish", "--dry-run", "--json", "--finished-at", "2025-01-01T12:02:00Z"];
    let shown = ci.report(arguments).run().json();
    assert_eq!(shown["body"]["status"], "failure");
    assert_eq!(shown["body"]["started_at"], "2025-01-01T12:00:00Z");
    assert_eq!(shown["body"]["head_branch"], "main");
    assert_eq!(Ci::files(&ci.spool()), before, "nothing was written");
    assert_eq!(ci.dx.requests().len(), 1, "only the start was sent");
}

#[test]
fn for_people_it_reads_as_http() {
    let ci = Ci::new();
    let fields = ["--started-at", "2025-01-01T12:05:00", "--dry-run"];
    let output = quiet(&ci, ci.report(["start"].into_iter().chain(fields)).run());
    let version = env!("CARGO_PKG_VERSION");
    insta::assert_snapshot!(
        "dry_run",
        ci.neutral(&output.stdout())
            .replace(&format!("pipefold/{version}"), "pipefold/[version]")
    );
}

#[test]
fn notifications_that_would_only_be_recorded_are_marked() {
    let ci = Ci::new();
    let output = quiet(&ci, ci.report(["step", "--step", "a", "--dry-run", "--json"]).run());
    assert_eq!(output.json()["verdict"], "hold");
    let urgent = quiet(
        &ci,
        ci.report(["step", "--step", "a", "--now", "--dry-run", "--json"]).run(),
    );
    assert_eq!(urgent.json()["body"]["reference_id"], "run-1");
}

#[test]
fn it_needs_no_token_and_no_dx() {
    let ci = Ci::new();
    let output = ci
        .report(["start", "--dry-run", "--json"])
        .env_remove("DX_API_TOKEN")
        .env_remove("DX_API_URL")
        .run();
    output.assert_code(0);
    assert_eq!(output.json()["body"]["status"], "running");
}

#[test]
fn an_exec_shows_its_finish_and_runs_nothing() {
    let ci = Ci::new();
    let output = quiet(
        &ci,
        ci.report(["exec", "--dry-run", "--json", "--", "touch", "ran"]).run(),
    );
    let shown: Vec<Value> = output
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(shown.last().unwrap()["body"]["reference_id"], "run-1", "{output}");
    assert!(!ci.workspace().join("ran").exists(), "{output}");
}

#[test]
fn wrong_fields_are_reported_as_always() {
    let ci = Ci::new();
    let output = ci
        .report(["start", "--dry-run", "--strict", "--started-at", "yesterday"])
        .run();
    output.assert_code(2);
    assert!(
        output.stdout.is_empty() && output.stderr().contains("yesterday"),
        "{output}"
    );
}
