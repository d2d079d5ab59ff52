//! `policy explain`: what policies do to a run, field by field.

use std::fs;

use crate::place::{
    EMAIL, discard_starts, hold_finishes, redact, renaming_steps, renaming_steps_in_reports, trap, write,
};
use pipefold_tests::{Ci, Output};
use serde_json::json;

/// A machine with policies beside its workspace.
fn with_policies() -> Ci {
    let ci = Ci::new();
    for (name, policy) in [
        ("redact", redact(EMAIL)),
        ("discard", discard_starts()),
        ("hold", hold_finishes()),
        ("rename", renaming_steps()),
        ("report", renaming_steps_in_reports()),
        ("trap", trap()),
    ] {
        write(&ci, &format!("{name}.wasm"), &policy);
    }
    ci
}

fn explain(ci: &Ci, words: &str) -> Output {
    let words = ["policy", "explain"].into_iter().chain(words.split_whitespace());
    ci.pipefold(words).run()
}

/// The fields that name a run.
const RUN: &str = "--pipeline-name build --pipeline-source Jenkins --reference-id 1 --started-at 2025-01-31";

#[test]
fn each_change_is_a_line_with_its_policy() {
    let ci = with_policies();
    let chain = "[[policy]]\nfile = \"../rename.wasm\"\n[[policy]]\nfile = \"../redact.wasm\"\n";
    fs::write(ci.workspace().join("chain.toml"), chain).unwrap();
    let history = json!([
        { "pipeline_name": "a", "pipeline_source": "b", "reference_id": "1", "started_at": "2025-01-31", "email": "mona@example.com" },
        { "pipeline_name": "a", "pipeline_source": "b", "reference_id": "1", "step": "lint", "status": "success" },
    ]);
    fs::write(ci.workspace().join("history.json"), history.to_string()).unwrap();
    let urgent = r#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"1","started_at":"2025-01-31","step":"lint","urgent":true}"#;
    fs::write(ci.workspace().join("urgent.json"), urgent).unwrap();
    let mut shown = String::new();
    for (words, code) in [
        (format!("../redact.wasm {RUN} --email mona@example.com"), 0),
        (format!("chain.toml {RUN} --email mona@example.com --step lint"), 0),
        ("chain.toml --from history.json".to_owned(), 0),
        ("../report.wasm --from urgent.json".to_owned(), 0),
        (format!("../discard.wasm {RUN} --email mona@example.com"), 0),
        ("../hold.wasm --from history.json".to_owned(), 0),
        (format!("../trap.wasm {RUN}"), 1),
        (format!("../redact.wasm {RUN} --commit-sha 1"), 2),
        (
            format!("--policy ../redact.wasm {RUN} --head-branch main --hook finish --status success"),
            0,
        ),
    ] {
        let output = explain(&ci, &words);
        output.assert_code(code);
        assert!(output.stderr.is_empty(), "{output}");
        shown += &format!("$ {words}\n{}", output.stdout());
    }
    insta::assert_snapshot!("explained", shown);
    assert!(ci.dx.requests().is_empty() && Ci::files(&ci.spool()).is_empty());
}

#[test]
fn a_policy_that_only_monitors_changes_nothing() {
    let ci = with_policies();
    let tables = ["redact", "discard", "trap"]
        .map(|name| format!("[[policy]]\nfile = \"../{name}.wasm\"\nmode = \"monitor\"\n"));
    fs::write(ci.workspace().join("monitor.toml"), tables.concat()).unwrap();
    let words = format!("monitor.toml {RUN} --email mona@example.com");
    let output = explain(&ci, &words);
    output.assert_code(0);
    insta::assert_snapshot!("monitored", output.stdout());
    let answer = explain(&ci, &format!("{words} --json")).json();
    assert_eq!(answer["answer"]["run"]["email"], "mona@example.com");
    assert_eq!(answer["changes"][0]["monitored"], true, "{answer:#}");
    assert_eq!(answer["by"], json!(null));
}

#[test]
fn json_has_the_changes_and_the_calls() {
    let ci = with_policies();
    let output = explain(&ci, &format!("../redact.wasm {RUN} --email mona@example.com --json"));
    output.assert_code(0);
    let answer = output.json();
    assert_eq!(
        answer["changes"],
        json!([{ "policy": "redact", "monitored": false, "field": "email", "before": "mona@example.com", "after": null }])
    );
    assert_eq!(
        (&answer["hook"], &answer["answer"]["verdict"]),
        (&"pipeline-start".into(), &"report".into())
    );
    let call = &answer["policies"][0];
    assert_eq!(
        (&call["policy"], &call["outcome"]),
        (&"redact".into(), &"changed".into())
    );
    assert!(
        call["milliseconds"].as_f64().unwrap() > 0.0 && call["memory"].as_u64().unwrap() > 0,
        "{answer:#}"
    );
}

#[test]
fn missing_fields_get_examples() {
    let ci = with_policies();
    let output = explain(&ci, "../redact.wasm --email mona@example.com");
    output.assert_code(0);
    assert!(
        output
            .stderr()
            .contains("pipeline_name, pipeline_source, reference_id and started_at are examples"),
        "{output}"
    );
    assert!(output.stdout().contains("reported\n"), "{output}");
    // JSON is asked as it is.
    let command = ci.pipefold(["policy", "explain", "../redact.wasm", "--from", "-", "--json"]);
    let output = command.stdin(r#"{"email":"a"}"#).run();
    output.assert_code(2);
    assert_eq!(
        output.json()["answer"]["violations"].as_array().map(Vec::len),
        Some(4),
        "{output}"
    );
}

#[test]
fn what_cannot_be_explained_is_named() {
    let ci = with_policies();
    let mut shown = String::new();
    for (words, stdin) in [
        ("", ""),
        ("nowhere.wasm", ""),
        ("nowhere.toml", ""),
        ("../redact.wasm --policy ../redact.wasm", ""),
        ("../redact.wasm --pr-number x", ""),
        ("../redact.wasm --from nowhere.json", ""),
        ("../redact.wasm --from -", ""),
        ("../redact.wasm --from -", "7"),
        ("../redact.wasm --from -", "[7]"),
        ("../redact.wasm --from -", r#"[{"emial":1}]"#),
        ("../redact.wasm --from - --hook start", "[]"),
    ] {
        let words_of = ["policy", "explain"].into_iter().chain(words.split_whitespace());
        let output = ci.pipefold(words_of).stdin(stdin).run();
        output.assert_code(2);
        assert!(output.stdout.is_empty(), "{output}");
        let last = output.stderr().lines().last().unwrap_or_default().to_owned();
        shown += &format!("$ {words} <{stdin}\n{last}\n");
    }
    insta::assert_snapshot!("unexplained", ci.neutral(&shown));
    let output = explain(&ci, "../redact.wasm --from f --email a");
    output.assert_code(2);
    assert!(output.stderr().contains("cannot be used with"), "{output}");
}

#[test]
fn keys_and_settings_are_not_shown() {
    let ci = with_policies();
    fs::write(ci.workspace().join("hash.key"), "secret-key-of-the-hash\n").unwrap();
    let settings = "[[policy]]\nfile = \"../redact.wasm\"\ngrants = [\"config\"]\nconfig = { salt = \"secret-salt\" }\n\
                    [[policy]]\nuse = \"rules\"\nrules = [{ hash = \"github_username\", key = \"hash.key\" }]\n";
    fs::write(ci.workspace().join("ours.toml"), settings).unwrap();
    let run = r#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"1","started_at":"2025-01-31","github_username":"mona"}"#;
    let cases = format!(r#"{{"hook":"start","notification":{run}}}"#);
    fs::write(ci.workspace().join("cases.jsonl"), cases).unwrap();
    for more in ["", "-vvv", "--json"] {
        let explained = explain(&ci, &format!("ours.toml {RUN} --github-username mona {more}"));
        explained.assert_code(0);
        assert!(explained.stdout().contains("github_username"), "{explained}");
        let tested = ci
            .pipefold(["policy", "test", "ours.toml", "cases.jsonl"])
            .args(more.split_whitespace().map(str::to_owned))
            .run();
        tested.assert_code(1);
        for output in [explained, tested] {
            let all = output.stdout() + &output.stderr();
            assert!(!all.contains("secret-"), "{all}");
        }
    }
}
