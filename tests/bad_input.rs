//! Wrong fields: one message that names every fault and what would be right; nothing is recorded, nothing is sent, and the build goes on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use pipefold_tests::{Ci, Output};

/// Runs a command of these words, in a CI system that says nothing of itself. What is wrong is warned of and no failure; with `--strict` it is exit code 2, with the same words.
fn refused(words: &[&str]) -> String {
    let ci = Ci::new();
    let lenient = ci.pipefold(words).env("CI", "true").run();
    lenient.assert_code(0);
    let strict = ci.pipefold(["--strict"]).args(words).env("CI", "true").run();
    strict.assert_code(2);
    let said = |output: &Output, label: &str| {
        assert!(output.stdout.is_empty(), "{output}");
        let stderr = output.stderr();
        assert_eq!(stderr.lines().count(), 1, "one line: {output}");
        stderr
            .strip_prefix(&format!("pipefold: {label}: "))
            .unwrap_or_else(|| panic!("{output}"))
            .to_owned()
    };
    let message = said(&lenient, "warning");
    assert_eq!(message, said(&strict, "error"));
    nothing_happened(&ci, words);
    message
}

fn nothing_happened(ci: &Ci, words: &[&str]) {
    assert!(ci.dx.requests().is_empty(), "{words:?}: {:?}", ci.dx.requests());
    assert!(
        Ci::files(&ci.spool().join("runs")).is_empty(),
        "{words:?}: something was recorded"
    );
}

/// `start` with good required fields and these on top.
fn refused_start(more: &[&str]) -> String {
    refused(
        &[
            &[
                "start",
                "--pipeline-name",
                "build",
                "--pipeline-source",
                "tests",
                "--reference-id",
                "run-1",
            ],
            more,
        ]
        .concat(),
    )
}

#[test]
fn missing_and_blank_fields_are_all_named() {
    insta::assert_snapshot!("missing", refused(&["start"]));
    let blank = [
        "start",
        "--pipeline-name",
        "",
        "--pipeline-source",
        " \t ",
        "--reference-id",
        "\u{a0}",
    ];
    assert_eq!(refused(&blank), refused(&["start"]));
    insta::assert_snapshot!(
        "missing_one",
        refused(&["start", "--pipeline-name", "build", "--reference-id", "run-1"])
    );
    insta::assert_snapshot!("missing_in_a_finish", refused(&["finish", "--reference-id", "run-1"]));
}

#[test]
fn wrong_times_are_named_with_what_would_be_right() {
    let times = [
        "2025-02-30",
        "2025-01-01T24:61",
        "2025-01-01T11:46:67",
        "yesterday",
        "2025-01-01T12:00:00+25:00",
        "1735732800",
        "2025-13-01",
    ];
    let messages: Vec<String> = times
        .iter()
        .map(|time| refused_start(&["--started-at", time]))
        .collect();
    insta::assert_snapshot!("times", messages.concat());
}

#[test]
fn unknown_statuses_and_pull_requests_that_are_none() {
    let fields = [
        "--pipeline-name",
        "build",
        "--pipeline-source",
        "tests",
        "--reference-id",
        "run-1",
    ];
    let statuses = ["Success", "failed", "passed", "ok", "canceled"];
    let finish = |status| refused(&[&["finish", "--status", status], &fields[..]].concat());
    let mut messages: Vec<String> = statuses.into_iter().map(finish).collect();
    for number in [
        "-1",
        "0",
        "-9223372036854775808",
        "9223372036854775808",
        "abc",
        "12a",
        "#5",
        "1.5",
    ] {
        messages.push(refused_start(&[
            "--repository",
            "getdx/some_repo",
            "--pr-number",
            number,
        ]));
    }
    messages.push(refused_start(&["--pr-number", "5"]));
    messages.push(refused_start(&["--commit-sha", "4f2e9c1"]));
    messages.push(refused_start(&[
        "--commit-sha",
        "4f2e9c1",
        "--pr-number",
        "5",
        "--repository",
        " ",
    ]));
    insta::assert_snapshot!("statuses_and_pull_requests", messages.concat());
}

#[test]
fn text_that_is_too_long_or_no_text() {
    let long = "x".repeat(4097);
    let messages = [
        refused_start(&["--head-branch", &long]),
        refused_start(&["--head-branch", "main\u{1b}[2J"]),
        refused_start(&["--email", "a@b.c\nBcc: d@e.f"]),
        refused_start(&["--source-url", "https://ci.example/\u{7f}"]),
        refused_start(&["--repository", "getdx/\u{85}"]),
    ];
    insta::assert_snapshot!("text", messages.concat());
    let ci = Ci::new();
    let longest = "x".repeat(4096);
    ci.report(["start", "--strict", "--head-branch", &longest])
        .run()
        .assert_code(0);
    assert_eq!(ci.record().get("head_branch"), Some(longest.as_str()));
}

#[test]
fn many_faults_are_one_message() {
    let all = [
        "start",
        "--pipeline-source",
        "a",
        "--reference-id",
        "r\u{1}",
        "--started-at",
        "2025-02-30",
        "--finished-at",
        "24:61",
        "--pr-number",
        "-7",
        "--commit-sha",
        "4f2e9c1",
        "--email",
        "\u{2}",
    ];
    insta::assert_snapshot!("many_faults", refused(&all));
}

#[test]
fn a_wrong_number_does_not_hide_the_other_faults() {
    let message = refused(&["start", "--pr-number", "abc", "--started-at", "yesterday"]);
    for fault in [
        "pr_number",
        "started_at",
        "pipeline_name",
        "pipeline_source",
        "reference_id",
    ] {
        assert!(message.contains(fault), "{fault} is not named: {message}");
    }
}

#[test]
fn the_wrapped_command_runs_all_the_same() {
    let ci = Ci::new();
    let exec = |strict: bool, script: &str| {
        let flags: &[&str] = if strict { &["--strict"] } else { &[] };
        ci.pipefold(flags)
            .args(["exec", "--started-at", "yesterday", "--", "sh", "-c", script])
            .env("CI", "true")
            .stdin("in")
            .run()
    };
    let output = exec(false, "cat; exit 3");
    output.assert_code(3);
    assert_eq!(output.stdout(), "in");
    assert!(output.stderr().contains("yesterday"), "{output}");
    exec(false, "exit 0").assert_code(0);
    // With --strict it is found out before an hour of build, not after.
    let output = exec(true, "touch ran; exit 3");
    output.assert_code(2);
    assert!(!ci.workspace().join("ran").exists(), "{output}");
    let step = [
        "step",
        "--step",
        "s",
        "--started-at",
        "yesterday",
        "--",
        "sh",
        "-c",
        "exit 5",
    ];
    ci.pipefold(step).env("CI", "true").run().assert_code(5);
    nothing_happened(&ci, &["exec"]);
}

#[test]
fn a_wrong_time_is_no_reason_to_lose_the_end_of_a_run() {
    // A shell's `date +%FT%T` gives local time without a zone: west of Greenwich each such end lies before the start.
    for end in ["yesterday", "2001-01-01", "2001-01-01T12:00:00", "2001-01-01T12:00:00Z"] {
        for words in [
            &["exec", "--finished-at", end, "--", "true"][..],
            &["finish", "--status", "success", "--finished-at", end],
        ] {
            let ci = Ci::new();
            if words[0] == "finish" {
                ci.report(["start"]).run().assert_code(0);
            }
            let output = ci.report(words.iter().copied()).run();
            output.assert_code(0);
            assert!(output.stderr().contains("finished_at"), "{output}");
            let record = ci.record();
            assert_eq!(record.status, "success", "{words:?}");
            assert!(
                record.finished_at.is_some_and(|end| end >= record.started_at),
                "{words:?}"
            );
        }
    }
    let both = [
        "finish",
        "--started-at",
        "2025-01-01T12:00:00Z",
        "--finished-at",
        "2025-01-01T11:59:59Z",
    ];
    let ci = Ci::new();
    let output = ci.report(both).run();
    assert!(
        output.assert_code(0).stderr().contains("lies before the start"),
        "{output}"
    );
    assert_eq!(ci.record().finished_at.as_deref(), Some("2025-01-01T12:00:00Z"));
    let ci = Ci::new();
    ci.report(both).args(["--strict"]).run().assert_code(1);
    let ci = Ci::new();
    let output = ci.report(["finish", "--started-at", "noon"]).run();
    assert!(
        output.assert_code(0).stderr().contains("started_at \"noon\""),
        "{output}"
    );
    assert!(ci.record().finished_at.is_some());
}

#[test]
fn bytes_that_are_no_text_are_no_reason_to_stop() {
    use std::os::unix::ffi::OsStrExt;
    let ci = Ci::new();
    let branch = std::ffi::OsStr::from_bytes(b"feature/\xff");
    ci.report(["start".as_ref(), "--head-branch".as_ref(), branch])
        .run()
        .assert_code(0);
    assert_eq!(ci.record().get("head_branch"), Some("feature/\u{fffd}"));
}

#[test]
fn from_the_environment_the_faults_are_the_same() {
    let ci = Ci::new();
    let output = ci
        .report(["start"])
        .env("PIPEFOLD_PR_NUMBER", "seven")
        .env("PIPEFOLD_STARTED_AT", "24:61")
        .run();
    output.assert_code(0);
    insta::assert_snapshot!("from_the_environment", output.stderr());
    let output = ci.report(["start"]).env("PIPEFOLD_REPOSITRY", "getdx/some_repo").run();
    output.assert_code(0);
    insta::assert_snapshot!("a_misspelt_variable", output.stderr());
    ci.report(["start"])
        .env("PIPEFOLD_STRICT", "true")
        .env("PIPEFOLD_PR_NUMBER", "seven")
        .run()
        .assert_code(2);
}
