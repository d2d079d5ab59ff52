//! `pipefold hook`: the component's verdicts for a host in any language, JSON in and out.

use pipefold_tests::{Ci, Output};
use serde_json::{Value, json};

fn hook(name: &str, input: &Value) -> Output {
    let ci = Ci::new();
    let output = ci.pipefold(["hook", name]).stdin(input.to_string()).run();
    assert!(ci.dx.requests().is_empty(), "a hook sends nothing");
    assert!(Ci::files(&ci.spool()).is_empty(), "a hook records nothing");
    output
}

fn event(more: &Value) -> Value {
    let mut event = json!({
        "pipeline_name": "integration_tests", "pipeline_source": "Tekton", "reference_id": "AA713E04", "started_at": "2025-01-01T12:05:00",
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn verdicts() {
    let verdicts = [
        hook("start", &event(&json!({}))),
        hook("step", &event(&json!({ "step": "a", "status": "success" }))),
        hook(
            "step",
            &event(&json!({ "step": "a", "status": "success", "urgent": true })),
        ),
        hook(
            "finish",
            &json!([
                event(&json!({})),
                event(&json!({ "status": "failure", "finished_at": "2025-01-01T12:10:00" }))
            ]),
        ),
        hook(
            "merge",
            &json!([
                event(&json!({ "step": "a", "status": "failure" })),
                event(&json!({ "status": "success" }))
            ]),
        ),
    ];
    let mut shown = String::new();
    for output in &verdicts {
        output.assert_code(0);
        assert!(output.stderr.is_empty(), "{output}");
        shown += &format!("{:#}\n", output.json());
    }
    insta::assert_snapshot!("hook_verdicts", shown);
}

#[test]
fn violations() {
    let wrong = json!({ "pipeline_name": " ", "pipeline_source": "Tekton", "started_at": "2025-02-30", "status": "ok", "pr_number": -1 });
    let mut shown = String::new();
    for (name, input) in [
        ("start", wrong.clone()),
        ("finish", json!([wrong])),
        ("merge", json!([])),
    ] {
        let output = hook(name, &input);
        assert!(!output.stdout.is_empty(), "{output}");
        shown += &format!("{name}: code {:?}\n{:#}\n", output.code.unwrap(), output.json());
    }
    insta::assert_snapshot!("hook_violations", shown);
}

#[test]
fn what_is_no_notification_is_said() {
    let inputs = [
        ("start", ""),
        ("start", "{"),
        ("start", "[]"),
        ("start", "null"),
        ("start", r#"{"pipeline_name": 5}"#),
        ("start", r#"{"pr_number": "five"}"#),
        ("start", r#"{"pr_number": 1, "pipline_name": "a"}"#),
        ("start", r#"{"attributes": [], "pipeline_name": "a"}"#),
        ("start", r#"{"urgent": "yes"}"#),
        ("finish", r#"[{"step": "a"}, {"step": "b", "started_at": 5}]"#),
        ("merge", r#"[{"commit": "a"}]"#),
        ("finish", "{}"),
        ("finish", "\u{fffd}"),
    ];
    let mut shown = String::new();
    for (name, input) in inputs {
        let output = Ci::new().pipefold(["hook", name]).stdin(input).run();
        assert_ne!(output.code, Some(0), "{input}\n{output}");
        shown += &format!(
            "{name} {input:?}: code {}: {}{}",
            output.code.unwrap(),
            output.stdout(),
            output.stderr()
        );
    }
    insta::assert_snapshot!("hook_input", shown);
}

#[test]
fn the_worked_example_of_dxs_page() {
    let table = [
        ("11:25:18", "running", None),
        ("11:25:21", "success", None),
        ("11:24:40", "failure", None),
        ("11:25:21", "running", None),
        ("11:26:07", "success", Some("2025-01-01T11:46:07")),
    ];
    let history: Vec<Value> = table
        .into_iter()
        .map(|(time, status, end)| {
            event(&json!({ "started_at": format!("2025-01-01T{time}"), "status": status, "finished_at": end }))
        })
        .collect();
    let output = hook("merge", &json!(history));
    output.assert_code(0);
    let run = &output.json()["run"];
    assert_eq!(run["started_at"], "2025-01-01T11:24:40Z");
    assert_eq!(run["finished_at"], "2025-01-01T11:46:07Z");
    assert_eq!(run["status"], "failure");
}

#[test]
fn an_endless_input_is_cut_off() {
    let input = vec![b' '; 80 << 20];
    let output = Ci::new().pipefold(["hook", "finish"]).stdin(input).run();
    assert_ne!(output.code, Some(0), "{output}");
    assert!(!output.stderr.is_empty());
}
