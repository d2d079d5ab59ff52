//! Runs that are reported through the library.

use crate::support::{Driver, parsed};
use dx_standin::Standin;
use serde_json::{Value, json};

const START: &str = r#"start {"pipeline_name":"build","reference_id":"1","started_at":"2025-01-31T12:00:00Z"}"#;
const STEP: &str = r#"step {"reference_id":"1","step":"lint","started_at":"2025-01-31T12:00:01Z","finished_at":"2025-01-31T12:00:02Z","status":"success"}"#;
const FINISH: &str =
    r#"finish {"reference_id":"1","finished_at":"2025-01-31T12:00:03Z","status":"success","attributes":{"a":"1"}}"#;

#[test]
fn a_run_is_recorded_and_delivered() {
    let dx = Standin::start();
    let driver = Driver::new();
    let open = driver.config(json!({
        "dx_url": dx.url(), "token": dx.token(), "pipeline_source": "my-ci", "attributes": { "a": "0", "b": "2" },
    }));
    let lines = driver.run(&[&format!("open {open}"), START, STEP, FINISH, "flush", "close", "flush"]);
    let answers: Vec<(i32, Value)> = lines.iter().map(|line| parsed(line)).collect();
    assert_eq!(answers[0], (0, json!({ "policies": [], "warnings": [] })));
    let verdicts: Vec<_> = answers[1..4]
        .iter()
        .map(|(status, answer)| {
            assert_eq!(
                (*status, &answer["on_disk"], &answer["reference_id"]),
                (0, &json!(true), &json!("1"))
            );
            (
                answer["verdict"].as_str().unwrap(),
                answer["delivered"] == true,
                answer["delivery"]["accepted"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            ("report", true, Some(1)),
            ("hold", false, None),
            ("report", true, Some(1))
        ]
    );
    assert_eq!((answers[4].0, &answers[4].1["accepted"]), (0, &json!(0)));
    assert_eq!(answers[5].0, 2, "the reporter is closed: {}", answers[5].1);
    let records = dx.records();
    assert_eq!(records.len(), 1);
    let record = &records["1"];
    assert_eq!(
        (record.pipeline_source.as_str(), record.status.as_str()),
        ("my-ci", "success")
    );
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-31T12:00:03Z"));
    assert!(!lines.join("").contains(dx.token()));
}

#[test]
fn the_environment_is_asked_without_a_configuration() {
    let dx = Standin::start();
    let driver = Driver::new()
        .with_variable("DX_API_URL", &dx.url())
        .with_variable("DX_API_TOKEN", dx.token())
        .with_variable("PIPEFOLD_PIPELINE_SOURCE", "of-the-variable");
    let lines = driver.run(&["open", START, r#"finish {"reference_id":"1","status":"failure"}"#]);
    assert!(lines.iter().all(|line| parsed(line).0 == 0), "{lines:?}");
    let record = &dx.records()["1"];
    assert_eq!(
        (record.pipeline_source.as_str(), record.status.as_str()),
        ("of-the-variable", "failure")
    );
}

#[test]
fn a_configuration_asks_no_variable() {
    let dx = Standin::start();
    let driver = Driver::new()
        .with_variable("DX_API_URL", &dx.url())
        .with_variable("DX_API_TOKEN", dx.token())
        .with_variable("PIPEFOLD_PIPELINE_SOURCE", "of-the-variable");
    let open = format!("open {}", driver.config(json!({})));
    let lines = driver.run(&[
        &open,
        START,
        r#"start {"pipeline_name":"b","pipeline_source":"s","reference_id":"2"}"#,
    ]);
    let (refused, recorded) = (parsed(&lines[1]), parsed(&lines[2]));
    assert_eq!(
        (refused.0, &refused.1["violations"][0]["field"]),
        (1, &json!("pipeline_source"))
    );
    assert_eq!(
        (recorded.0, &recorded.1["trouble"]),
        (0, &json!("DX_API_URL is not set"))
    );
    assert!(dx.records().is_empty());
}

#[test]
fn what_was_kept_is_flushed() {
    let dx = Standin::start();
    let driver = Driver::new();
    let away = driver.config(json!({ "dx_url": dx.url(), "pipeline_source": "my-ci" }));
    let here = driver.config(json!({ "dx_url": dx.url(), "token": dx.token() }));
    let lines = driver.run(&[
        &format!("open {away}"),
        START,
        "close",
        &format!("open {here}"),
        r#"flush {"run":"1","timeout":"10s"}"#,
    ]);
    assert_eq!(parsed(&lines[1]).1["on_disk"], true);
    assert_eq!(parsed(&lines[3]).1["accepted"], 1);
    assert_eq!(dx.records().len(), 1);
}

#[test]
fn a_history_is_merged_as_the_command_does() {
    let driver = Driver::new();
    let history =
        r#"[{"pipeline_name":"build","pipeline_source":"my-ci","reference_id":"1","started_at":"2025-01-31"}]"#;
    let lines = driver.run(&[
        &format!("open {}", driver.config(json!({}))),
        &format!("merge {history}"),
    ]);
    let run = r#"{"pipeline_name":"build","pipeline_source":"my-ci","reference_id":"1","started_at":"2025-01-31T00:00:00Z","status":"unknown"}"#;
    assert_eq!(lines[1], format!(r#"0 {{"jobs":[],"run":{run}}}"#));
}

#[test]
fn threads_share_a_reporter() {
    let driver = Driver::new();
    let open = format!("open {}", driver.config(json!({})));
    assert_eq!(driver.run(&[&open, "threads"])[1], "joined");
    let runs = std::fs::read_dir(driver.directory.path().join("spool/runs")).unwrap();
    assert_eq!(runs.count(), 8 * 20);
}
