//! A run's steps, which DX has no field for, reported to a collector that shows them.

use pipefold_tests::{Ci, Collector, RUN};
use serde_json::{Value, json};

const BUILD: &str = "pipefold step --step lint --allow-failure -- false; pipefold step --step test -- true";

/// The collector's data of a run: its record, and of each notification the step, its status and `allowed_to_fail`.
fn run(collector: &Collector) -> (Value, Vec<Value>) {
    let answer = collector.client().get(&format!("/api/runs/{RUN}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let run = &answer.json()["run"];
    let of = |event: &Value| {
        let notification = &event["notification"];
        json!([
            notification["step"],
            notification["status"],
            notification["allowed_to_fail"]
        ])
    };
    let mut received: Vec<Value> = run["received"].as_array().unwrap().iter().map(of).collect();
    received.sort_by_key(Value::to_string);
    received.dedup();
    (run["record"].clone(), received)
}

fn steps(received: &[Value]) -> Vec<&Value> {
    received.iter().filter(|one| one[0].is_string()).collect()
}

#[test]
fn a_collector_gets_the_steps_and_has_the_record_that_dx_would() {
    let ci = Ci::new();
    let collector = Collector::start(&ci.directory().join("data"));
    let script = || ci.exec_script(BUILD);
    script().run().assert_code(0);
    let to_collector = script()
        .env("PIPEFOLD_SPOOL", ci.directory().join("spool-2"))
        .env("DX_API_URL", &collector.url);
    to_collector.run().assert_code(0);
    let (record, received) = run(&collector);
    let tolerated = json!(["lint", "failure", true]);
    let passed = steps(&received);
    assert_eq!(passed.len(), 2, "{received:?}");
    assert!(
        passed.contains(&&tolerated) && passed[1][0] == "test" && passed[1][1] == "success",
        "{passed:?}"
    );
    assert_eq!(record["status"], "success");
    assert_eq!(ci.record().status, "success");
    // DX is sent nothing that it does not know.
    for sent in ci.dx.requests() {
        assert!(sent.json().get("steps").is_none() && sent.json().get("step").is_none());
    }
}

#[test]
fn parts_of_a_run_by_processes_of_their_own() {
    let ci = Ci::new();
    let collector = Collector::start(&ci.directory().join("data"));
    for command in [
        "start",
        "step --step compile --status success",
        "step --step test --status failure",
        "finish --status success",
    ] {
        let command = ci.report(command.split(' ')).env("DX_API_URL", &collector.url);
        command.run().assert_code(0);
    }
    let (record, received) = run(&collector);
    assert_eq!(
        record["status"], "success",
        "steps do not count once the run has said how it went"
    );
    assert_eq!(steps(&received).len(), 2, "{received:?}");
}

#[test]
fn behind_a_policy_they_stay_where_they_are() {
    let ci = Ci::new();
    let collector = Collector::start(&ci.directory().join("data"));
    // A policy file that is no component, and may fail: it judges nothing, though notifications were to be judged.
    std::fs::write(ci.directory().join("policy.wasm"), b"").unwrap();
    ci.operator("[[policy]]\nfile = \"policy.wasm\"\nfailure = \"open\"\n");
    let command = ci.exec_script(BUILD).env("DX_API_URL", &collector.url);
    command.run().assert_code(0);
    let (record, received) = run(&collector);
    assert_eq!(record["status"], "success");
    assert_eq!(steps(&received), Vec::<&Value>::new());
}
