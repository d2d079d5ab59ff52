//! Configurations that are wrong, and what the answer says.

use crate::support::{Driver, parsed};
use serde_json::json;

#[test]
fn an_error_names_the_key() {
    let driver = Driver::new();
    let spool = driver.directory.path().join("spool");
    let with = |more: serde_json::Value| driver.config(more);
    let cases = [
        (
            with(json!({ "dx_urll": "x" })),
            "unknown key `dx_urll`; did you mean `dx_url`?",
        ),
        (
            with(json!({ "budgets": { "start": 1 } })),
            "`budgets.start`: this has to be a duration in quotes",
        ),
        (with(json!({ "dx_url": "ftp://x" })), "`dx_url`: "),
        (
            with(json!({ "spool_limit": u64::MAX })),
            "`spool_limit`: a number here is too large",
        ),
        (
            with(json!({ "policy": [null] })),
            "`policy`: a list here has a null in it",
        ),
        (
            with(json!({ "queue": { "url": "nats://x" } })),
            "`queue`: the library has no use for it",
        ),
        (with(json!({ "token": 5 })), "`token` has to be a text"),
        (with(json!({ "token": "a\u{e9}" })), "`token`: the DX token has"),
        (
            with(json!({ "token": "a", "token_file": "b" })),
            "`token` and `token_file` are both given",
        ),
        (
            with(json!({ "token_file": "missing" })),
            "could not read the token file",
        ),
        (
            with(json!({ "ca_file": "missing", "dx_url": "https://x.getdx.net" })),
            "missing",
        ),
        (
            with(json!({ "cache": 1 })),
            "`cache`: this has to be the path of a directory",
        ),
        (
            with(json!({ "policy": [{ "file": "a.wasm", "grants": ["all"] }] })),
            "`policy.grants`",
        ),
        ("{}".into(), "`spool` is missing"),
        ("[]".into(), "the configuration is not a JSON object"),
        (
            format!("{{\"spool\":{spool:?}}} x"),
            "the configuration is not a JSON object: trailing characters",
        ),
        (
            format!("{{\"spool\":\"{}\"}}", "a".repeat(300_000)),
            "the configuration has more than 256 KiB",
        ),
    ];
    let lines: Vec<String> = cases.iter().map(|(config, _)| format!("open {config}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (line, (config, expected)) in driver.run(&lines).iter().zip(&cases) {
        let (status, answer) = parsed(line);
        let error = answer["error"].as_str().unwrap();
        assert!(
            status == 2 && error.contains(expected),
            "{status} {error}, expected: {expected}"
        );
        assert!(!error.contains("/configuration:"), "{error}");
        assert!(error.len() < 300, "{config}: {error}");
    }
}

#[test]
fn a_token_is_in_no_answer() {
    let driver = Driver::new();
    let secret = "s3cret-of-this-test\\u002b";
    // In its wrong places, too.
    let lines: Vec<String> = [
        format!(r#"{{"spool":"s","token":"{secret}","dx_url":"x y"}}"#),
        format!(r#"{{"spool":"s","token":"{secret} {secret}"}}"#),
        format!(r#"{{"spool":"s","token":["{secret}"]}}"#),
        format!(r#"{{"spool":"s","dx_token":"{secret}"}}"#),
        format!(r#"{{"token":"{secret}"}}"#),
    ]
    .map(|config| format!("open-with-log {config}"))
    .into();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let output = driver.run(&lines);
    assert!(
        output
            .iter()
            .all(|line| line.starts_with('2') && !line.contains("s3cret")),
        "{output:?}"
    );
}

#[test]
fn a_policy_that_cannot_be_loaded_is_a_warning_and_nothing_is_sent() {
    let dx = dx_standin::Standin::start();
    let driver = Driver::new();
    let config = driver.config(json!({
        "dx_url": dx.url(), "token": dx.token(), "policy": [{ "rules": [{ "nope": 1 }], "use": "rules" }],
    }));
    let start = r#"start {"pipeline_name":"b","pipeline_source":"s","reference_id":"2"}"#;
    let lines = driver.run(&[&format!("open-with-log {config}"), start]);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("log 2 `rules[1]`: a rule needs one of the verbs")),
        "{lines:?}"
    );
    let (status, receipt) = parsed(lines.last().unwrap());
    assert_eq!(
        (status, &receipt["verdict"], &receipt["on_disk"]),
        (0, &json!(null), &json!(true))
    );
    assert!(dx.records().is_empty());
}
