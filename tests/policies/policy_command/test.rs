//! `policy test`: answers beside the expected ones.

use std::fs;

use super::{START, test, with_cases};
use crate::place::{EMAIL, redact, trap, write};
use pipefold_tests::Ci;
use serde_json::Value;

/// The expected answer to [`super::START`] behind the policy.
const REPORT: &str = r#"{"verdict":"report","run":{"pipeline_name":"build","pipeline_source":"Jenkins","reference_id":"1","started_at":"2025-01-31T00:00:00Z","status":"running"},"jobs":[]}"#;

#[test]
fn cases_that_pass() {
    let history = START.replace(
        r#""hook":"start","notification":{"#,
        r#""hook":"pipeline-finish","history":[{"#,
    ) + "]";
    let failing = START.replace("\"started_at\":\"2025-01-31\",", "");
    let cases = [
        format!(r#"{{{START},"expect":{REPORT}}}"#),
        // Parts that are not named are not compared.
        format!(r#"{{"name":"a report","expect":{{"verdict":"report"}},{START}}}"#),
        format!(r#"{{{history},"expect":{{"verdict":"report","jobs":[]}}}}"#),
        r#"{"hook":"step","notification":{"pipeline_name":"a","pipeline_source":"b","reference_id":"1","step":"c"},"expect":{"verdict":"hold"}}"#.to_owned(),
        format!(r#"{{{failing},"expect":{{"violations":[{{"fault":"required_params_missing","field":"started_at"}}]}}}}"#),
    ];
    let (ci, path) = with_cases(&format!("\n{}\r\n \n", cases.join("\n")));
    let before = fs::read(&path).unwrap();
    let output = test(&ci, &[]).run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "5 cases passed, 0 failed\n");
    test(&ci, &["--update"]).run().assert_code(0);
    assert_eq!(fs::read(&path).unwrap(), before);
    let output = test(&ci, &["--json"]).run();
    let lines: Vec<Value> = output
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (lines.len(), &lines[1]["name"], &lines[1]["line"]),
        (6, &"a report".into(), &3.into())
    );
    assert_eq!(lines[5], serde_json::json!({ "passed": 5, "failed": 0, "updated": 0 }));
    assert!(ci.dx.requests().is_empty() && Ci::files(&ci.spool()).is_empty());
}

#[test]
fn each_difference_is_a_line() {
    let cases = [
        format!(r#"{{"name":"kept","expect":{REPORT},{START}}}"#)
            .replace("\"status\"", "\"email\":\"mona@example.com\",\"status\""),
        format!(r#"{{"expect":{REPORT},{START}}}"#).replace("\"running\"", "\"success\""),
        format!(r#"{{"expect":{{"verdict":"discard","reason":"no"}},{START}}}"#),
        format!(r#"{{"expect":{{"violations":[{{"field":"email"}}]}},{START}}}"#),
        format!(r#"{{"expect":{{"failure":"crashed"}},{START}}}"#),
        format!(r#"{{"name":"new",{START}}}"#),
    ];
    let (ci, _) = with_cases(&cases.join("\n"));
    let output = test(&ci, &[]).run();
    output.assert_code(1);
    insta::assert_snapshot!("differences", output.stdout());
    let output = test(&ci, &["--json"]).run();
    output.assert_code(1);
    let first: Value = serde_json::from_str(output.stdout().lines().next().unwrap()).unwrap();
    let expected = serde_json::json!([{ "field": "run.email", "expected": "mona@example.com", "found": null }]);
    assert_eq!(first["differences"], expected);
}

#[test]
fn a_policy_that_fails_is_an_answer_and_no_update() {
    let ok = format!(r#"{{"expect":{{"failure":"policy trap"}},{START}}}"#);
    let (ci, path) = with_cases(&format!("{ok}\n{{{START}}}\n"));
    write(&ci, "redact.wasm", &trap());
    fs::rename(ci.directory().join("redact.wasm"), ci.directory().join("trap.wasm")).unwrap();
    let before = fs::read(&path).unwrap();
    let output = ci
        .pipefold(["policy", "test", "../trap.wasm", "cases.jsonl", "--update"])
        .run();
    output.assert_code(1);
    assert!(
        output.stdout().ends_with("1 case passed, 1 failed, 0 updated\n"),
        "{output}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_tables_is_asked_as_a_chain() {
    let (ci, _) = with_cases(&format!(r#"{{{START},"expect":{REPORT}}}"#));
    // The policies of the machine are not asked.
    let trap = write(&ci, "trap.wasm", &trap());
    let settings = ci.workspace().join("ours.toml");
    fs::write(
        &settings,
        "[[policy]]\nfile = \"../redact.wasm\"\n[[policy]]\nfile = \"../second.wasm\"\n",
    )
    .unwrap();
    write(&ci, "second.wasm", &redact(EMAIL));
    ci.operator(&format!("[[policy]]\nfile = {trap:?}\n"));
    let run = || {
        let command = ci.pipefold(["policy", "test", "ours.toml", "cases.jsonl"]);
        command.env("PIPEFOLD_POLICY", trap.as_os_str()).run()
    };
    let output = run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "1 case passed, 0 failed\n");

    // A policy is tested before it is enforced.
    fs::write(&settings, "[[policy]]\nfile = \"../redact.wasm\"\nmode = \"monitor\"\n").unwrap();
    let output = run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "1 case passed, 0 failed\n");

    let mut shown = String::new();
    for toml in [
        "",
        "[[policy]]\nfile = \"../redact.wasm\"\nfale = 1\n",
        "[[policy]]\nfile = \"../nowhere.wasm\"\n",
        "[[policy]]\nfile = \"../nowhere.wasm\"\nfailure = \"open\"\n",
        "[[policy]\n",
    ] {
        fs::write(&settings, toml).unwrap();
        let output = run();
        output.assert_code(2);
        assert!(output.stdout.is_empty(), "{output}");
        shown += &format!("{toml:?}: {}", output.stderr());
    }
    insta::assert_snapshot!("wrong_tables", ci.neutral(&shown));
}

#[test]
fn wrong_cases_are_named_by_their_lines() {
    let (ci, path) = with_cases("");
    let mut shown = String::new();
    let deep = format!("{{\"expect\":{}}}", "[".repeat(100_000));
    for cases in [
        "",
        "[]",
        "{\"hook\":\"start\"",
        "{}",
        r#"{"hook":"merge"}"#,
        r#"{"hook":"start","history":[]}"#,
        r#"{"hook":"finish","notification":{}}"#,
        r#"{"hook":"start","notification":{},"notification":{}}"#,
        r#"{"hook":"start","notification":{},"expct":{}}"#,
        r#"{"hook":"start","notification":{"emial":""}}"#,
        r#"{"hook":"start","notification":{"pr_number":"x"}}"#,
        r#"{"hook":"finish","history":[{},{"step":1}]}"#,
        r#"{"hook":"start","notification":{},"expect":{}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"hold","reason":""}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"report","run":{"emial":""}}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"report","run":{"email":1}}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"report","run":{"email":"a"}}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"report","jobs":{}}}"#,
        r#"{"hook":"start","notification":{},"expect":{"verdict":"report","report":{}}}"#,
        r#"{"hook":"start","notification":{},"expect":{"violations":[]}}"#,
        r#"{"hook":"start","notification":{},"expect":{"failure":1}}"#,
        r#"{"hook":"start","notification":{},"config":{"a":1}}"#,
        "{\"hook\":\"\u{1b}[2J::error::\"}",
        "\u{feff}{}",
        &deep,
    ] {
        fs::write(&path, format!("\n{cases}\n")).unwrap();
        let output = test(&ci, &["--update"]).run();
        output.assert_code(2);
        assert!(output.stdout.is_empty(), "{output}");
        let given: String = cases.chars().take(100).collect();
        shown += &format!("{given:?}: {}", output.stderr());
    }
    insta::assert_snapshot!("wrong_cases", ci.neutral(&shown));
    fs::write(&path, b"{\"hook\":\"\xff\"}").unwrap();
    let output = test(&ci, &[]).run();
    output.assert_code(2);
    assert!(output.stderr().contains("cases.jsonl:1:"), "{output}");
}

#[test]
fn files_without_end_are_read_to_their_bounds() {
    let (ci, path) = with_cases("");
    let many = format!("{{{START}}}\n").repeat(10_001);
    fs::write(&path, many).unwrap();
    let output = test(&ci, &[]).run();
    output.assert_code(2);
    assert!(
        output
            .stderr()
            .contains("cases.jsonl:10001: the file has more than 10000 cases"),
        "{output}"
    );

    fs::write(&path, format!("{{\"name\":\"{}\"}}", "x".repeat(17 << 20))).unwrap();
    let output = test(&ci, &[]).run();
    output.assert_code(2);
    assert!(
        output.stderr().contains("cases.jsonl:1: the line has more than 16 MiB"),
        "{output}"
    );

    for endless in ["/dev/zero", "/", "nowhere.jsonl"] {
        let output = ci.pipefold(["policy", "test", "../redact.wasm", endless]).run();
        output.assert_code(2);
    }
}
