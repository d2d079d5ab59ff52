//! Clients of other authors, against the collector: getdx posts to it, yagocd and feedparser read its feeds, schemathesis looks for holes in its API.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use pipefold_tests::{Collector, skipped, workspace_root};
use serde_json::{Value, json};

/// The end of a script that cannot run on this machine.
const CANNOT: i32 = 77;

/// Installs the clients' packages, once for all tests. Returns the reason if that fails.
fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let output = match run("python").arg("--version").output() {
            Ok(output) => output,
            Err(why) => return Some(format!("bash: {why}")),
        };
        let told = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => None,
            Some(CANNOT) => told
                .lines()
                .find_map(|line| Some(line.strip_prefix("skipped: ")?.to_owned())),
            _ => panic!("{told}"),
        }
    });
    missing.as_deref()
}

fn run(program: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(workspace_root().join("tests/serve/clients/run.sh"))
        .arg(program);
    command
}

/// Runs a program of these clients' packages. `None` where they cannot be installed; the test counts as skipped.
fn client(
    test: &str,
    directory: &Path,
    program: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Option<Output> {
    if let Some(why) = missing() {
        skipped(test, why);
        return None;
    }
    let mut command = run(program);
    command
        .args(arguments)
        // What they leave behind goes with it.
        .current_dir(directory)
        .envs(variables.iter().copied())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    Some(command.output().unwrap())
}

fn upsert(collector: &Collector, token: &str, arguments: &Value) {
    let answer = collector.client().with_token(token).upsert(arguments).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Two pipelines of thirty runs, and a token that may read one of them, with the script's answer about it. `None` where it cannot run.
fn read_by(test: &str, script: &str) -> Option<(Collector, Value)> {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let writer = collector.token("builds", &["--write"]);
    let reader = collector.token("feed-reader", &["--read", "--pipelines", "web*"]);
    for number in 0..30 {
        for pipeline in ["web", "api"] {
            let run = json!({
                "pipeline_name": pipeline, "pipeline_source": "tests", "reference_id": format!("{pipeline}-{number}"),
                "started_at": format!("2025-01-01T08:{number:02}:00Z"), "finished_at": format!("2025-01-01T09:{number:02}:00.5Z"),
                "status": if number == 29 { "failure" } else { "success" },
                "repository": "o/n", "commit_sha": "ab".repeat(20), "head_branch": "main", "email": "a@example.com",
            });
            upsert(&collector, &writer, &run);
        }
    }
    let script = workspace_root().join("tests/serve/clients").join(script);
    let arguments = [script.to_str().unwrap(), &*collector.url, "feed-reader", "web"];
    let password = [("GOCD_PASSWORD", &*reader)];
    let output = client(test, dir.path(), "python", &arguments, &password)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some((collector, serde_json::from_slice(&output.stdout).unwrap()))
}

/// The titles of the runs, the newest first.
fn titles() -> Vec<String> {
    let word = |counter: u32| if counter == 30 { "Failed" } else { "Passed" };
    let title = |counter: u32| format!("web({counter}) stage run(1) {}", word(counter));
    (1..=30).rev().map(title).collect()
}

#[test]
fn yagocd_reads_the_feeds() {
    let Some((collector, found)) = read_by("yagocd_reads_the_feeds", "read_feeds.py") else {
        return;
    };
    assert_eq!(
        found,
        json!({
            "version": "20.3.0",
            "pipelines": [format!("{}/go/api/pipelines/web/stages.xml", collector.url)],
            "pages": [25, 5, 0],
            "titles": titles(),
            "run": ["web", 30, "main", "ab".repeat(20)],
            "stage": ["Failed", "Completed", "2025-01-01T09:29:00Z"],
            "same by name": true,
            "jobs": [["run", "Failed"]],
            "times": ["2025-01-01T09:29:00.500Z"],
            "wrong password": 401,
            "unknown pipeline": 404,
        })
    );
}

#[test]
fn feedparser_reads_the_feeds() {
    let Some((_, found)) = read_by("feedparser_reads_the_feeds", "read_atom.py") else {
        return;
    };
    assert_eq!(
        found,
        json!({
            "pages": [["atom10", "web", 25], ["atom10", "web", 5], ["atom10", "web", 0]],
            "titles": titles(),
            "ids": 30,
            "first": ["2025-01-01T09:29:00Z", ["a@example.com"], ["stage", "completed", "failed"]],
            "stage": true,
        })
    );
}

#[test]
fn getdx_posts_runs_and_understands_refusals() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let token = collector.token("getdx", &["--write"]);
    let script = workspace_root().join("tests/serve/clients/post_getdx.py");
    let arguments = [script.to_str().unwrap(), &*collector.url];
    let test = "getdx_posts_runs_and_understands_refusals";
    let Some(output) = client(test, dir.path(), "python", &arguments, &[("DX_TOKEN", &*token)]) else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answers,
        json!({
            "run": { "ok": true },
            "unix times": { "ok": true },
            "wrong time": ["DXValidationError", 422],
            "wrong token": ["DXFeatureUnavailableError", 401],
        })
    );
    let reader = collector.token("reader", &["--read"]);
    let record = |run: &str| {
        let answer = collector.client().with_token(&reader).get(&format!("/api/runs/{run}"));
        answer.json()["run"]["record"].clone()
    };
    assert_eq!(record("getdx-1")["pr_number"], 7);
    assert_eq!(record("getdx-2")["started_at"], "2025-01-01T12:05:00Z");
    assert_eq!(record("getdx-2")["finished_at"], "2025-01-01T12:10:00Z");
    assert_eq!(record("getdx-2")["status"], "cancelled");
}

#[test]
fn schemathesis_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let token = collector.token("schemathesis", &[]);
    let seen = json!({
        "pipeline_name": "integration_tests", "pipeline_source": "Tekton", "reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
        "started_at": "2025-01-01T12:05:00",
    });
    upsert(&collector, &token, &seen);
    let clients = workspace_root().join("tests/serve/clients");
    let (config, hooks) = (clients.join("schemathesis.toml"), clients.join("schemathesis_hooks.py"));
    let (document, authorization) = (
        format!("{}/api/openapi.json", collector.url),
        format!("Authorization: Bearer {token}"),
    );
    // Those that remove runs come last: others need the run.
    for (which, found) in [
        ("--exclude-method", ["Tested: 11", "No issues found"]),
        ("--include-method", ["Tested: 2", " passed"]),
    ] {
        // Every phase and every check. The seed makes what is found be found again.
        let arguments = [
            "--config-file",
            config.to_str().unwrap(),
            "run",
            &document,
            "--header",
            &authorization,
            "--checks",
            "all",
            "--max-examples",
            "5",
            "--seed",
            "1",
            which,
            "DELETE",
        ];
        let variables = [("SCHEMATHESIS_HOOKS", hooks.to_str().unwrap())];
        let Some(output) = client(
            "schemathesis_finds_nothing",
            dir.path(),
            "schemathesis",
            &arguments,
            &variables,
        ) else {
            return;
        };
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{told}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(found.into_iter().all(|text| told.contains(text)), "{told}");
    }
}
