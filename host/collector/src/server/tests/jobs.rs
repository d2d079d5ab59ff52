//! `pipelineJobs.upsert`.

use super::support::{Answer, EXAMPLE, Running, Setup, start};
use crate::access::Rights;
use serde_json::{Value, json};

const RUN: &str = "AA713E04-1880-4E17-8C49-4A41733DAFCF";

/// The arguments as DX's documentation lists them.
fn job() -> Value {
    json!({
        "pipeline_source": "Tekton", "run_reference_id": RUN, "reference_id": "build/unit", "name": "unit", "status": "success",
        "started_at": "2025-01-01T12:06:00", "finished_at": "2025-01-01T12:07:30",
    })
}

fn with(more: &Value) -> Value {
    let mut job = job();
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

impl Running {
    pub fn upsert_job(&self, headers: &str, body: &str) -> Answer {
        self.post_job("", headers, body)
    }

    fn post_job(&self, query: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(format!(
            "POST /api/pipelineJobs.upsert{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// Returns the stored jobs of a run, without their ids.
    pub fn jobs(&self, run: &str) -> Vec<Value> {
        let mut answer = self.get(&format!("/api/runs/{run}"), "").json();
        let jobs = answer["run"]["jobs"].as_array_mut().unwrap();
        jobs.iter_mut().for_each(|job| {
            job.as_object_mut().unwrap().remove("id");
            job.as_object_mut().unwrap().remove("waiting_since");
        });
        jobs.clone()
    }
}

fn stored() -> Value {
    json!({
        "reference_id": "build/unit", "name": "unit", "status": "success",
        "started_at": "2025-01-01T12:06:00Z", "finished_at": "2025-01-01T12:07:30Z",
    })
}

#[test]
fn a_job_as_json_as_a_form_and_in_the_address() {
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!(
        "pipeline_source=Tekton&run_reference_id={RUN}&reference_id=build%2Funit&name=unit&status=SUCCESS&started_at=1735733160&finished_at=1735733250000"
    );
    let jenkins = with(&json!({ "status": "SUCCESS", "started_at": 1_735_733_160, "finished_at": "1735733250" }));
    for (query, headers, body) in [
        ("", "", job().to_string()),
        ("", "", jenkins.to_string()),
        ("", FORM, form.clone()),
        (&*format!("?{form}"), "", String::new()),
    ] {
        let server = start(Setup::default());
        assert_eq!(server.upsert("", EXAMPLE).status, 200);
        let before = server.record(RUN);
        for _ in 0..2 {
            let answer = server.post_job(query, headers, &body);
            assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
        }
        assert_eq!(server.jobs(RUN), [stored()]);
        assert_eq!(server.record(RUN), before, "a job changes no run");
        let metrics = server.get("/metrics", "").body;
        assert!(metrics.contains("pipefold_jobs_total 2\n"), "{metrics}");
    }
}

#[test]
fn jobs_are_listed_in_the_order_of_their_start() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    for (id, started_at) in [("c", "2025-01-01T12:09:00Z"), ("b", "2025-01-01T12:08:00Z"), ("a", "")] {
        let body =
            with(&json!({ "reference_id": id, "started_at": started_at, "finished_at": null, "status": "running" }));
        assert_eq!(server.upsert_job("", &body.to_string()).status, 200);
    }
    let jobs = server.jobs(RUN);
    let ids: Vec<&str> = jobs.iter().map(|job| job["reference_id"].as_str().unwrap()).collect();
    // The one without a start runs now.
    assert_eq!(ids, ["b", "c", "a"]);
}

#[test]
fn all_that_is_wrong_with_a_job_is_named() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    let fields = |body: &Value| {
        let answer = server.upsert_job("", &body.to_string());
        let fields: Vec<String> = answer.json()["violations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|violation| violation["field"].as_str().unwrap().to_owned())
            .collect();
        (
            answer.status,
            answer.json()["error"].as_str().unwrap().to_owned(),
            fields,
        )
    };
    let required = ["pipeline_source", "run_reference_id", "reference_id", "name", "status"];
    let missing = "required_params_missing";
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(fields(&json!({})), (422, missing.into(), names(&required)));
    for name in required {
        for blank in [json!(null), json!(""), json!("  ")] {
            assert_eq!(
                fields(&with(&json!({ name: blank }))),
                (422, missing.into(), names(&[name])),
                "{name}"
            );
        }
        let long = fields(&with(&json!({ name: "x".repeat(5000) })));
        assert_eq!((long.0, long.2), (422, names(&[name])), "{name}");
    }
    for name in ["reference_id", "name", "run_reference_id", "pipeline_source"] {
        for odd in ["a\nb", "\u{200b}"] {
            let (status, _, found) = fields(&with(&json!({ name: odd })));
            assert_eq!((status, found), (422, names(&[name])), "{name} {odd:?}");
        }
    }
    let many = with(&json!({ "status": "green", "started_at": "soon", "finished_at": "later", "name": "" }));
    let all = names(&["name", "status", "started_at", "finished_at"]);
    assert_eq!(fields(&many), (422, missing.into(), all));
    let (status, code, found) = fields(&with(&json!({ "finished_at": "2025-01-01T12:05:59" })));
    assert_eq!(
        (status, &*code, found),
        (422, "invalid_timestamp", names(&["finished_at"]))
    );
    let (_, code, found) = fields(&with(&json!({ "started_at": null, "finished_at": "soon" })));
    assert_eq!((&*code, found), ("invalid_timestamp", names(&["finished_at"])));
    assert!(server.jobs(RUN).is_empty());
    for status in ["unknown", "running", "cancelled", "failure"] {
        let body = with(&json!({ "status": status, "reference_id": status }));
        assert_eq!(server.upsert_job("", &body.to_string()).status, 200, "{status}");
    }
}

#[test]
fn a_job_of_an_unknown_run_is_refused_with_the_remedy() {
    let server = start(Setup::default());
    let body = job().to_string();
    let answer = server.upsert_job("", &body);
    assert_eq!(answer.refusal(), (422, "pipeline_run_not_found".into()));
    let message = answer.json()["message"].to_string();
    assert!(message.contains("send pipelineRuns.upsert for it first"), "{message}");
    assert!(message.len() < 160, "{message}");
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    assert_eq!(server.upsert_job("", &body).status, 200);
    let other = with(&json!({ "pipeline_source": "Jenkins" })).to_string();
    assert_eq!(
        server.upsert_job("", &other).refusal(),
        (422, "pipeline_run_not_found".into())
    );
}

#[test]
fn the_tokens_rights_on_the_run_are_those_on_its_jobs() {
    let server = start(Setup {
        tokens: vec![
            ("builds", Rights::Write, "build_*"),
            ("others", Rights::Write, "web"),
            ("reader", Rights::Read, "*"),
        ],
        ..Setup::default()
    });
    let body = job().to_string();
    assert_eq!(server.upsert_job("", &body).refusal(), (401, "not_authed".into()));
    assert_eq!(server.upsert(&server.bearer(0), EXAMPLE).status, 200);
    assert_eq!(
        server.upsert_job(&server.bearer(1), &body).refusal(),
        (403, "no_permission".into())
    );
    assert_eq!(
        server.upsert_job(&server.bearer(2), &body).refusal(),
        (401, "invalid_auth".into())
    );
    assert_eq!(server.upsert_job(&server.bearer(0), &body).status, 200);
}

#[test]
fn hostile_bodies_of_jobs() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    for body in [
        "",
        "[]",
        "null",
        "{",
        r#"{"name":{}}"#,
        r#"{"name":["a"]}"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"status":true}"#,
        r#"{"started_at":{}}"#,
        &format!(r#"{{"x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000)),
    ] {
        assert_eq!(
            server.upsert_job("", body).refusal(),
            (400, "invalid_json".into()),
            "{body}"
        );
    }
    let large = with(&json!({ "more": "x".repeat(2 << 20) })).to_string();
    assert_eq!(server.upsert_job("", &large).status, 413);
    let answer = server.upsert_job("Content-Type: text/plain\r\n", &job().to_string());
    assert_eq!(answer.status, 415);
    assert_eq!(
        server
            .send("GET /api/pipelineJobs.upsert HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            .status,
        405
    );
    // Names that mean something elsewhere are kept as they are.
    for name in ["'; DROP TABLE jobs; --", "</script>", "%_*", "../../etc", "\u{1f600}é"] {
        let body = with(&json!({ "reference_id": name, "name": name }));
        assert_eq!(server.upsert_job("", &body.to_string()).status, 200, "{name}");
        let found = server
            .jobs(RUN)
            .iter()
            .any(|job| job["name"] == name && job["reference_id"] == name);
        assert!(found, "{name}");
        assert!(!server.get(&format!("/runs/{RUN}"), "").body.contains("</script>\""));
    }
    let answer = server.upsert_job("", &with(&json!({ "step": "x" })).to_string());
    assert_eq!(
        answer.json()["warnings"],
        json!(["unknown arguments, which DX ignores: step"])
    );
}
