//! Deliveries that are made from GitHub's own JSON Schemas (npm's `@octokit/webhooks-schemas`), for each event about a run or a job: with the
//! required fields alone and with all, with and without null where it is allowed, and with each conclusion. The records were written by hand
//! from "Webhook events and payloads" in GitHub's documentation.

mod maker;

use std::process::Command;
use std::sync::LazyLock;

use pipefold_tests::{Collector, skipped, workspace_root};
use serde_json::{Value, json};

use self::maker::{Filling, Maker};

/// The version of the package.
const PACKAGE: &str = "@octokit/webhooks-schemas@7.6.1";

/// The schemas, or the reason why they cannot be had on this machine. Tests of one process install them once.
static SCHEMAS: LazyLock<Result<Value, String>> = LazyLock::new(schemas);

/// Installs the package with npm, and returns the schemas.
fn schemas() -> Result<Value, String> {
    let place = workspace_root().join("target/octokit-schemas");
    let file = place.join("node_modules/@octokit/webhooks-schemas/schema.json");
    if !file.exists() {
        let npm = Command::new("npm")
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--no-save",
                "--prefix",
            ])
            .arg(&place)
            .arg(PACKAGE)
            .output()
            .map_err(|error| format!("npm: {error}"))?;
        if !npm.status.success() {
            let why = String::from_utf8_lossy(&npm.stderr);
            return Err(format!("npm cannot install {PACKAGE}: {why}"));
        }
    }
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).unwrap())
}

/// All ways to fill in a schema.
fn fillings() -> impl Iterator<Item = Filling> {
    let all = [true, false].into_iter();
    all.flat_map(|all| [true, false].map(|nulls| Filling { all, nulls }))
}

/// A collector that takes GitHub's deliveries without a signature.
struct Receiver {
    collector: Collector,
    schemas: &'static Value,
    _dir: tempfile::TempDir,
}

impl Receiver {
    fn start(test: &str) -> Option<Self> {
        let schemas = SCHEMAS.as_ref().inspect_err(|why| skipped(test, why)).ok()?;
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("serve.toml");
        std::fs::write(&config, "[[source]]\nname = \"github\"\nscheme = \"none\"\n").unwrap();
        let arguments = ["--config".into(), config.into_os_string()];
        let collector = Collector::start_with(&dir.path().join("data"), &arguments);
        Some(Self {
            collector,
            schemas,
            _dir: dir,
        })
    }

    /// Sends a delivery of a definition, and returns the answer.
    fn send(&self, event: &str, definition: &str, filling: Filling, facts: &Value) -> Value {
        let definitions = &self.schemas["definitions"];
        let maker = Maker {
            definitions,
            filling,
            facts,
        };
        let body = maker.make(&definitions[definition], "").to_string();
        let mut client = self.collector.client().with_header(&format!("X-GitHub-Event: {event}"));
        let answer = client
            .ask("POST", "/hooks/github", "application/json", body.as_bytes())
            .unwrap();
        assert_eq!(
            answer.status,
            200,
            "{definition} {filling:?}: {}\n{body}",
            answer.text()
        );
        answer.json()
    }

    fn run(&self, id: u64) -> Option<Value> {
        let path = format!("/api/runs/github%2Fgithub.com%2Focto-org%2Focto-repo%2F{id}%2F3");
        let answer = self.collector.client().get(&path);
        (answer.status == 200).then(|| answer.json()["run"].clone())
    }
}

const SHA: &str = "ffac537e6cbbf934b08745a378932722df287a53";

/// The run of a delivery about it.
fn facts_of_run(id: u64) -> Value {
    json!({
        "workflow_run.id": id, "workflow_run.run_attempt": 3, "workflow_run.name": "Build", "workflow_run.event": "pull_request",
        "workflow_run.head_branch": "one", "workflow_run.head_sha": SHA, "workflow_run.run_started_at": "2026-03-01T10:00:00Z",
        "workflow_run.updated_at": "2026-03-01T10:05:00Z", "workflow_run.triggering_actor.login": "hubot",
        "workflow_run.pull_requests[].number": 12,
        "repository.full_name": "octo-org/octo-repo", "repository.html_url": "https://github.com/octo-org/octo-repo",
    })
}

#[test]
fn each_event_about_a_run() {
    let Some(receiver) = Receiver::start("each_event_about_a_run") else {
        return;
    };
    let ended = Some("2026-03-01T10:05:00Z");
    let mut id = 100;
    for (definition, conclusion, status, finished_at) in [
        ("workflow_run$requested", None, "unknown", None),
        ("workflow_run$in_progress", None, "running", None),
        ("workflow_run$completed", Some("success"), "success", ended),
        ("workflow_run$completed", Some("neutral"), "success", ended),
        ("workflow_run$completed", Some("failure"), "failure", ended),
        ("workflow_run$completed", Some("timed_out"), "failure", ended),
        ("workflow_run$completed", Some("cancelled"), "cancelled", ended),
        ("workflow_run$completed", Some("stale"), "cancelled", ended),
        ("workflow_run$completed", Some("skipped"), "cancelled", ended),
        // It waits for an approval, and goes on as the same attempt.
        ("workflow_run$completed", Some("action_required"), "unknown", None),
    ] {
        for filling in fillings() {
            id += 1;
            let mut facts = facts_of_run(id);
            if let Some(conclusion) = conclusion {
                facts["workflow_run.conclusion"] = json!(conclusion);
            }
            assert_eq!(receiver.send("workflow_run", definition, filling, &facts)["runs"], 1);
            let mut expected = json!({
                "pipeline_name": "Build", "pipeline_source": "GitHub Actions",
                "reference_id": format!("github/github.com/octo-org/octo-repo/{id}/3"), "started_at": "2026-03-01T10:00:00Z",
                "repository": "octo-org/octo-repo", "commit_sha": SHA, "head_branch": "one", "github_username": "hubot",
                "source_url": format!("https://github.com/octo-org/octo-repo/actions/runs/{id}/attempts/3"), "status": status,
            });
            let more = [
                ("finished_at", finished_at.map(Value::from)),
                // A fork's run lists none.
                ("pr_number", filling.all.then(|| json!(12))),
            ];
            for (name, value) in more {
                if let Some(value) = value {
                    expected[name] = value;
                }
            }
            let run = receiver.run(id).unwrap();
            assert_eq!(run["record"], expected, "{definition} {conclusion:?} {filling:?}");
        }
    }
}

#[test]
fn each_event_about_a_job() {
    let Some(receiver) = Receiver::start("each_event_about_a_job") else {
        return;
    };
    let mut id = 100;
    for (definition, conclusion, status) in [
        ("workflow_job$queued", None, None),
        ("workflow_job$waiting", None, None),
        ("workflow_job$in_progress", None, Some("running")),
        ("workflow_job$completed", Some("success"), Some("success")),
        ("workflow_job$completed", Some("failure"), Some("failure")),
        ("workflow_job$completed", Some("cancelled"), Some("cancelled")),
        // It never ran.
        ("workflow_job$completed", Some("skipped"), None),
    ] {
        for filling in fillings() {
            id += 1;
            let mut facts = json!({
                "workflow_job.run_id": id, "workflow_job.run_attempt": 3, "workflow_job.workflow_name": "Build", "workflow_job.name": "test",
                "workflow_job.started_at": "2026-03-01T10:00:10Z", "workflow_job.head_sha": SHA,
                "repository.full_name": "octo-org/octo-repo", "repository.html_url": "https://github.com/octo-org/octo-repo",
            });
            facts["workflow_job.completed_at"] = Value::Null;
            if let Some(conclusion) = conclusion {
                facts["workflow_job.conclusion"] = json!(conclusion);
                facts["workflow_job.completed_at"] = json!("2026-03-01T10:04:30Z");
            }
            let answer = receiver.send("workflow_job", definition, filling, &facts);
            let Some(status) = status else {
                assert!(
                    answer["ignored"].is_string() && receiver.run(id).is_none(),
                    "{definition}: {answer}"
                );
                continue;
            };
            let run = receiver.run(id).unwrap();
            let job = &run["jobs"][0];
            let finished_at = conclusion.map(|_| "2026-03-01T10:04:30Z");
            assert_eq!(
                (
                    &job["name"],
                    &job["status"],
                    &job["started_at"],
                    job["finished_at"].as_str()
                ),
                (
                    &json!("test"),
                    &json!(status),
                    &json!("2026-03-01T10:00:10Z"),
                    finished_at
                ),
                "{definition} {conclusion:?} {filling:?}"
            );
            assert_eq!(
                (
                    &run["record"]["pipeline_name"],
                    &run["record"]["started_at"],
                    &run["record"]["commit_sha"]
                ),
                (&json!("Build"), &json!("2026-03-01T10:00:10Z"), &json!(SHA))
            );
        }
    }
}

/// Every other event of GitHub is answered, and ignored.
#[test]
fn each_other_event() {
    let Some(receiver) = Receiver::start("each_other_event") else {
        return;
    };
    let definitions = receiver.schemas["definitions"].as_object().unwrap();
    let others = definitions
        .keys()
        .filter_map(|name| Some((name.split_once('$')?.0, name)));
    let others: Vec<_> = others
        .filter(|(event, _)| !matches!(*event, "workflow_run" | "workflow_job"))
        .collect();
    assert!(others.len() > 100, "{}", others.len());
    for (event, definition) in others {
        for filling in fillings().filter(|filling| !filling.nulls) {
            let answer = receiver.send(event, definition, filling, &json!({}));
            assert!(answer["ignored"].is_string(), "{definition}: {answer}");
        }
    }
}
