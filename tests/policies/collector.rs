//! A collector keeps, shows, serves and forwards notifications as the policies left them.

use std::path::Path;

use crate::place::{
    EMAIL, PIPELINE_NAME, SECRET, discard_starts, hold_seen_finishes, redact, renaming_steps, renaming_steps_in_reports,
};
use pipefold_tests::{Ci, Collector, Mode, SpoolContent, Standin, eventually};
use serde_json::{Value, json};

/// A DX, and a collector that forwards to it under policies.
struct Place {
    dx: Standin,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("token"), dx.token()).unwrap();
        Self { dx, dir }
    }

    /// Writes a policy, and gives the arguments that put it in front.
    fn policy(&self, name: &str, component: &[u8]) -> [String; 4] {
        let path = self.dir.path().join(name);
        std::fs::write(&path, component).unwrap();
        let cache = self.dir.path().join("cache").display().to_string();
        [
            "--policy".into(),
            path.display().to_string(),
            "--policy-cache".into(),
            cache,
        ]
    }

    fn serve(&self, policy: &[String]) -> Collector {
        let token = self.dir.path().join("token").display().to_string();
        let forward = [
            "--forward-to".into(),
            self.dx.url(),
            "--token-file".into(),
            token,
            "-vv".into(),
        ];
        Collector::start_with(&self.data(), &[&forward[..], policy].concat())
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
}

fn arguments(reference_id: &str, more: Value) -> Value {
    let mut all = json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00Z",
        "head_branch": "main", "email": SECRET,
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn report(collector: &Collector, reference_id: &str, more: Value) -> u16 {
    collector
        .client()
        .upsert(&arguments(reference_id, more))
        .unwrap()
        .status
}

fn report_job(collector: &Collector, run: &str, name: &str, status: &str) -> u16 {
    let arguments = json!({
        "pipeline_source": "tests", "run_reference_id": run, "reference_id": name, "name": name, "status": status,
    });
    collector.client().upsert_job(&arguments).unwrap().status
}

fn end() -> Value {
    json!({ "status": "success", "finished_at": "2025-01-01T12:10:00Z" })
}

fn run(collector: &Collector, reference_id: &str) -> Option<Value> {
    let answer = collector.client().get(&format!("/api/runs/{reference_id}"));
    (answer.status == 200).then(|| answer.json()["run"].clone())
}

fn until_told(collector: &Collector, reference_id: &str) {
    eventually("DX knows everything", || {
        run(collector, reference_id).is_some_and(|run| run["waiting_since"].is_null())
    });
}

/// Checks that no file of the collector's has the text.
fn no_file_holds(data: &Path, secret: &str) {
    for (path, content) in Ci::files(data) {
        let held = content.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!held, "{} holds it", path.display());
    }
}

#[test]
fn what_a_policy_takes_out_is_nowhere_in_a_collector() {
    let place = Place::new();
    let collector = place.serve(&place.policy("redact.wasm", &redact(EMAIL)));
    assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
    assert_eq!(report_job(&collector, "r", "lint", "success"), 200);
    assert_eq!(report(&collector, "r", end()), 200);
    until_told(&collector, "r");
    let kept = run(&collector, "r").unwrap();
    assert_eq!(
        (&kept["record"]["head_branch"], &kept["record"]["email"]),
        (&json!("main"), &Value::Null)
    );
    assert_eq!(kept["received"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&kept["jobs"][0]["name"], place.dx.jobs("r").len()),
        (&json!("lint"), 1)
    );
    for path in [
        "/",
        "/?text=secret-address",
        "/runs/r",
        "/pipelines",
        "/pipelines/web",
        "/api/runs",
        "/api/runs/r",
        "/go/api/pipelines.xml",
        "/go/api/feed/pipelines.xml",
        "/go/api/feed/pipelines/web/stages.xml",
        "/go/api/pipelines/web/1.xml",
    ] {
        let answer = collector.client().get(path);
        assert_eq!(answer.status, 200, "{path}");
        let shown = answer
            .text()
            .replace("value=\"secret-address\"", "")
            .replace("text=secret-address", "")
            .replace("<bdi>secret-address</bdi>", "");
        assert!(!shown.contains("secret-address"), "{path}: {shown}");
    }
    for (name, value) in [("email", SECRET), ("text", SECRET)] {
        let name = if name == "email" { "person" } else { name };
        let found = collector.client().get(&format!("/api/runs?{name}={value}")).json();
        assert_eq!(found["runs"], json!([]), "{name}");
    }
    for request in place.dx.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
    no_file_holds(&place.data(), SECRET);
    let log = collector.stop().log;
    assert!(!log.contains(SECRET), "{log}");
    no_file_holds(&place.data(), SECRET);
}

#[test]
fn a_policy_at_fault_refuses_nothing_and_loses_nothing() {
    let place = Place::new();
    let ci = Ci::new();
    let collector = place.serve(&place.policy("blank.wasm", &redact(PIPELINE_NAME)));
    for more in [json!({ "status": "running" }), end()] {
        assert_eq!(report(&collector, "r", more), 503);
    }
    assert_eq!(
        report(&collector, "r", json!({ "status": "nonsense" })),
        422,
        "that is the sender's"
    );
    assert!(run(&collector, "r").is_none());
    let log = collector.log();
    assert!(log.contains("policy blank") && !log.contains(SECRET), "{log}");
    // A runner keeps it until the policy is mended.
    ci.budgets(300, 600, 300);
    let exec = ci.exec(["true"]).env("DX_API_URL", &collector.url);
    exec.run().assert_code(0);
    let spool = SpoolContent::read(&ci.spool());
    assert!(spool.rejections.is_empty() && spool.waiting().count() > 0, "{spool:#?}");
    assert!(place.dx.requests().is_empty());
}

#[test]
fn what_a_policy_drops_is_answered_and_not_kept() {
    let place = Place::new();
    let collector = place.serve(&place.policy("discard.wasm", &discard_starts()));
    assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
    assert_eq!(report_job(&collector, "r", "build", "success"), 200);
    assert_eq!(report(&collector, "r", end()), 200);
    // A run of which only the end is reported.
    assert_eq!(report(&collector, "end alone", end()), 200);
    let listed = collector.client().get("/api/runs").json();
    assert_eq!(listed["runs"], json!([]));
    assert!(place.dx.requests().is_empty());
    let metrics = collector.client().get("/metrics").text();
    assert!(
        metrics.contains("pipefold_requests_total{result=\"dropped\"} 4\n"),
        "{metrics}"
    );
}

#[test]
fn what_a_policy_holds_is_shown_and_does_not_reach_dx() {
    let place = Place::new();
    let collector = place.serve(&place.policy("hold.wasm", &hold_seen_finishes()));
    assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
    until_told(&collector, "r");
    assert_eq!(report(&collector, "r", end()), 200);
    let kept = run(&collector, "r").unwrap();
    assert_eq!(
        (&kept["record"]["status"], &kept["waiting_since"]),
        (&json!("success"), &Value::Null)
    );
    assert_eq!(
        (&kept["received"][0]["held"], &kept["received"][1]["held"]),
        (&Value::Null, &json!(true))
    );
    let page = collector.client().get("/runs/r").text();
    assert!(
        page.contains("held by a policy") && page.contains("a policy holds the rest"),
        "{page}"
    );
    let again = collector.stop();
    assert_eq!(again.code, Some(0));
    assert_eq!(place.dx.records()["r"].status, "running");
}

#[test]
fn what_was_kept_before_there_was_a_policy_passes_it_on_its_way_to_dx() {
    let place = Place::new();
    place.dx.set_mode(Mode::RefuseConnections);
    let collector = place.serve(&[]);
    assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
    assert_eq!(report(&collector, "r", end()), 200);
    collector.stop();
    let collector = place.serve(&place.policy("redact.wasm", &redact(EMAIL)));
    place.dx.set_mode(Mode::Normal);
    until_told(&collector, "r");
    let record = &place.dx.records()["r"];
    assert_eq!((record.status.as_str(), record.get("email")), ("success", None));
    for request in place.dx.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
}

/// Asserts that the collector and DX have of the steps exactly the one with its new name, with this status and at most this many requests.
fn assert_renamed(place: &Place, collector: &Collector, status: &str) {
    until_told(collector, "r");
    let kept = run(collector, "r").unwrap();
    let jobs: Vec<_> = kept["jobs"].as_array().unwrap().iter().collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["reference_id"], &jobs[0]["status"]),
        (&json!("style"), &json!("style"), &json!(status))
    );
    let in_dx: Vec<_> = place
        .dx
        .jobs("r")
        .into_iter()
        .map(|job| (job.reference_id, job.name, job.status))
        .collect();
    assert_eq!(in_dx, [("style".to_owned(), "style".to_owned(), status.to_owned())]);
    for path in ["/runs/r", "/api/runs/r", "/go/api/feed/pipelines/web/1/run/1.xml"] {
        let shown = collector.client().get(path).text();
        assert!(shown.contains("style"), "{path}: {shown}");
        assert!(!shown.contains("lint") && !shown.contains("tricky"), "{path}: {shown}");
    }
}

#[test]
fn a_policy_renames_one_step_and_drops_another() {
    for policy in [renaming_steps(), renaming_steps_in_reports()] {
        let place = Place::new();
        let collector = place.serve(&place.policy("rename.wasm", &policy));
        assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
        // Without times, the second one ends what the first one began.
        for status in ["running", "success"] {
            assert_eq!(report_job(&collector, "r", "lint", status), 200);
            assert_eq!(report_job(&collector, "r", "tricky", status), 200);
        }
        assert_renamed(&place, &collector, "success");
        let started = run(&collector, "r").unwrap()["jobs"][0]["started_at"].clone();
        assert!(started.is_string(), "it began when it was reported");
        assert_eq!(
            report_job(&collector, "r", "lint", "nonsense"),
            422,
            "that is the sender's"
        );
        let metrics = collector.client().get("/metrics").text();
        assert!(
            metrics.contains("pipefold_requests_total{result=\"dropped\"} 2\n"),
            "{metrics}"
        );
        let unknown = report_job(&collector, "none", "lint", "success");
        assert_eq!(unknown, 422);
        for name in ["lint", "tricky"] {
            no_file_holds(&place.data(), &format!("\"{name}\""));
        }
        for request in place.dx.requests() {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            assert!(!body.contains("lint") && !body.contains("tricky\""), "{body}");
        }
    }
}

#[test]
fn jobs_that_were_kept_before_there_was_a_policy_pass_it_on_their_way_to_dx() {
    let place = Place::new();
    place.dx.set_mode(Mode::RefuseConnections);
    let collector = place.serve(&[]);
    assert_eq!(report(&collector, "r", json!({ "status": "running" })), 200);
    for name in ["lint", "tricky"] {
        assert_eq!(report_job(&collector, "r", name, "success"), 200);
    }
    collector.stop();
    let collector = place.serve(&place.policy("rename.wasm", &renaming_steps()));
    place.dx.set_mode(Mode::Normal);
    until_told(&collector, "r");
    let in_dx: Vec<_> = place.dx.jobs("r").into_iter().map(|job| job.name).collect();
    assert_eq!(in_dx, ["style"]);
}
