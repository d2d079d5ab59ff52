//! Webhooks reach a collector's store, pages and DX as the policies left them.

use pipefold_tests::http::Answer;
use pipefold_tests::{Ci, Collector, eventually};
use serde_json::{Value, json};

use crate::place::{HEAD_BRANCH, PIPELINE_NAME, discard_starts, redact, renaming_steps};

/// A branch that a policy takes out.
const SECRET_BRANCH: &str = "secret-branch";

/// A collector behind a policy, with the source `github`, whose deliveries need no signature here.
struct Place {
    dir: tempfile::TempDir,
    collector: Collector,
}

impl Place {
    fn under(policy: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let source = b"[[source]]\nname = \"github\"\nscheme = \"none\"\n";
        let arguments = [
            "--config".to_owned(),
            write("pipefold.toml", source),
            "--policy".into(),
            write("policy.wasm", policy),
            "--policy-cache".into(),
            dir.path().join("cache").display().to_string(),
            "-vv".into(),
        ];
        let collector = Collector::start_with(&dir.path().join("data"), &arguments);
        Self { dir, collector }
    }

    fn deliver(&self, event: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let length = body.len().to_string();
        let headers = [
            ("Content-Length", &*length),
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", event),
        ];
        let answer = self
            .collector
            .client()
            .send("POST", "/hooks/github", &headers, body.as_bytes());
        answer.unwrap()
    }

    fn run(&self, action: &str) -> Answer {
        let body = json!({
            "action": action,
            "workflow_run": {
                "id": 1, "name": "CI", "run_attempt": 1, "event": "push", "head_branch": SECRET_BRANCH, "conclusion": "success",
                "run_started_at": "2025-01-01T12:00:00Z", "updated_at": "2025-01-01T12:10:00Z",
            },
            "repository": { "full_name": "o/r", "html_url": "https://github.com/o/r" },
        });
        self.deliver("workflow_run", &body)
    }

    fn job(&self, name: &str) -> Answer {
        let body = json!({
            "action": "completed",
            "workflow_job": {
                "run_id": 1, "run_attempt": 1, "workflow_name": "CI", "name": name, "conclusion": "success",
                "started_at": "2025-01-01T12:01:00Z", "completed_at": "2025-01-01T12:05:00Z",
            },
            "repository": { "full_name": "o/r", "html_url": "https://github.com/o/r" },
        });
        self.deliver("workflow_job", &body)
    }

    fn stored(&self) -> Option<Value> {
        let answer = self
            .collector
            .client()
            .get("/api/runs/github%2Fgithub.com%2Fo%2Fr%2F1%2F1");
        (answer.status == 200).then(|| answer.json()["run"].clone())
    }

    /// The last delivery as the API shows it.
    fn last(&self) -> Value {
        self.collector.client().get("/api/hooks").json()["sources"][0]["deliveries"][0].clone()
    }
}

#[test]
fn what_a_policy_takes_out_is_nowhere() {
    let place = Place::under(&redact(HEAD_BRANCH));
    assert_eq!(place.run("requested").status, 200);
    assert_eq!(place.job("build").json(), json!({ "ok": true, "runs": 1, "jobs": 1 }));
    assert_eq!(place.run("completed").status, 200);
    // Refused with the branch in the words of the rules.
    let mut wrong = json!({ "action": "requested", "workflow_run": { "id": 1 } });
    wrong["workflow_run"]["head_branch"] = json!(SECRET_BRANCH);
    assert_eq!(place.deliver("workflow_run", &wrong).status, 422);
    assert_eq!(place.last()["outcome"], "refused by the source");
    assert_eq!(
        place
            .deliver("workflow_run", &json!({ "action": SECRET_BRANCH, "workflow_run": {} }))
            .status,
        200
    );
    assert_eq!(place.last()["outcome"], "ignored");
    let kept = place.stored().unwrap();
    assert_eq!(
        (
            &kept["record"]["status"],
            &kept["record"]["head_branch"],
            &kept["jobs"][0]["name"]
        ),
        (&json!("success"), &Value::Null, &json!("build"))
    );
    for path in ["/", "/hooks", "/api/hooks", "/api/runs", "/metrics"] {
        let shown = place.collector.client().get(path).text();
        assert!(!shown.contains(SECRET_BRANCH), "{path}: {shown}");
    }
    let log = place.collector.stop().log;
    assert!(!log.contains(SECRET_BRANCH), "{log}");
    for (path, content) in Ci::files(place.dir.path()) {
        let held = content
            .windows(SECRET_BRANCH.len())
            .any(|window| window == SECRET_BRANCH.as_bytes());
        assert!(!held, "{} holds it", path.display());
    }
}

#[test]
fn what_a_policy_drops_is_said_and_not_kept() {
    let place = Place::under(&discard_starts());
    let dropped = json!({ "ok": true, "runs": 0, "jobs": 0, "dropped": 1 });
    for answer in [place.run("requested"), place.job("build"), place.run("completed")] {
        assert_eq!((answer.status, answer.json()), (200, dropped.clone()));
        assert_eq!(place.last()["outcome"], "dropped by a policy");
    }
    assert!(place.stored().is_none());
    // A run of which a job is the first event.
    let place = Place::under(&discard_starts());
    assert_eq!(place.job("build").json(), dropped);
    assert!(place.stored().is_none());
    let metrics = place.collector.client().get("/metrics").text();
    let line = "pipefold_hook_deliveries_total{source=\"github\",result=\"dropped\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn jobs_pass_the_hook_for_steps() {
    let place = Place::under(&renaming_steps());
    assert_eq!(place.job("lint").status, 200);
    assert_eq!(
        place.job("tricky").json(),
        json!({ "ok": true, "runs": 0, "jobs": 0, "dropped": 1 })
    );
    let kept = place.stored().unwrap();
    let names: Vec<&Value> = kept["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["name"])
        .collect();
    assert_eq!(names, ["style"]);
}

#[test]
fn a_policy_at_fault_is_a_503_and_a_line_in_the_log() {
    let place = Place::under(&redact(PIPELINE_NAME));
    let answer = place.run("requested");
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(place.last()["outcome"], "not stored; see the server's log");
    assert!(place.stored().is_none());
    eventually("it is in the log", || place.collector.log().contains("policy policy"));
}
