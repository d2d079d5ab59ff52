//! Wrong fields: one message that names every fault and what would be right. Without a field that DX requires nothing is recorded and nothing is
//! sent; any other is left out, and the rest is reported. The build goes on.

use chrono::DateTime;
use pipefold_tests::{Ci, Output, RUN};

/// Runs a command of these words, in a CI system without variables. A fault is a warning and no failure; with `--strict` it is exit code 2, with the same words.
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

/// Runs a command whose optional fields are wrong: they are warned of, and the rest is reported. With `--strict` it is exit code 2, with the same
/// words, and nothing is.
fn left_out(words: &[&str]) -> String {
    let ci = Ci::new();
    let lenient = ci.pipefold(words).env("CI", "true").run();
    lenient.assert_code(0);
    assert!(lenient.stdout.is_empty(), "{lenient}");
    assert_eq!(ci.record().reference_id, RUN);
    let ci = Ci::new();
    let strict = ci.pipefold(["--strict"]).args(words).env("CI", "true").run();
    strict.assert_code(2);
    nothing_happened(&ci, words);
    let said = |output: &Output, beginning: &str| {
        let stderr = output.stderr();
        assert_eq!(stderr.lines().count(), 1, "one line: {output}");
        let rest = stderr.strip_prefix(beginning);
        rest.unwrap_or_else(|| panic!("{output}")).to_owned()
    };
    let message = said(&lenient, "pipefold: warning: left out of the run: ");
    assert_eq!(message, said(&strict, "pipefold: error: the run is not reported: "));
    message
}

/// `start` with good required fields and these on top.
fn left_out_of_a_start(more: &[&str]) -> String {
    left_out(&[&["start"], &REQUIRED[..], more].concat())
}

const REQUIRED: [&str; 6] = [
    "--pipeline-name",
    "build",
    "--pipeline-source",
    "tests",
    "--reference-id",
    RUN,
];

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
        .map(|time| left_out_of_a_start(&["--started-at", time]))
        .collect();
    insta::assert_snapshot!("times", messages.concat());
}

#[test]
fn unknown_statuses_and_pull_requests_that_are_none() {
    let statuses = ["Success", "failed", "passed", "ok", "canceled"];
    let finish = |status| left_out(&[&["finish", "--status", status], &REQUIRED[..]].concat());
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
        messages.push(left_out_of_a_start(&[
            "--repository",
            "getdx/some_repo",
            "--pr-number",
            number,
        ]));
    }
    messages.push(left_out_of_a_start(&["--pr-number", "5"]));
    messages.push(left_out_of_a_start(&["--commit-sha", "4f2e9c1"]));
    messages.push(left_out_of_a_start(&[
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
        left_out_of_a_start(&["--head-branch", &long]),
        left_out_of_a_start(&["--head-branch", "main\u{1b}[2J"]),
        left_out_of_a_start(&["--email", "a@b.c\nBcc: d@e.f"]),
        left_out_of_a_start(&["--source-url", "https://ci.example/\u{7f}"]),
        left_out_of_a_start(&["--repository", "getdx/\u{85}"]),
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
    let ci = Ci::new();
    let output = ci
        .pipefold(["start", "--pr-number", "abc", "--started-at", "yesterday"])
        .env("CI", "true")
        .run();
    let message = output.stderr();
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
    // A source is missing, and the start is wrong.
    let wrong = [
        "--pipeline-name",
        "p",
        "--reference-id",
        RUN,
        "--started-at",
        "yesterday",
    ];
    let ci = Ci::new();
    let exec = |strict: bool, script: &str| {
        let flags: &[&str] = if strict { &["--strict"] } else { &[] };
        ci.pipefold(flags)
            .args(["exec"])
            .args(wrong)
            .args(["--", "sh", "-c", script])
            .env("CI", "true")
            .stdin("in")
            .run()
    };
    let output = exec(false, "cat; exit 3");
    output.assert_code(3);
    assert_eq!(output.stdout(), "in");
    insta::assert_snapshot!("missing_field_of_exec", ci.neutral(&output.stderr()));
    exec(false, "exit 0").assert_code(0);
    // With --strict it is found out before an hour of build, not after.
    let output = exec(true, "touch ran; exit 3");
    output.assert_code(2);
    assert!(!ci.workspace().join("ran").exists(), "{output}");
    let step = ci.pipefold(["step", "--step", "s"]).args(wrong);
    step.args(["--", "sh", "-c", "exit 5"])
        .env("CI", "true")
        .run()
        .assert_code(5);
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
            // Not as texts: these have no trailing zeros.
            let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
            let end = record.finished_at.as_deref().map(time);
            assert!(end.is_some_and(|end| end >= time(&record.started_at)), "{words:?}");
        }
    }
}

#[test]
fn a_run_around_a_command_is_reported_without_what_is_wrong() {
    for (flag, value) in [
        ("--started-at", "1795747380"),
        ("--pr-number", "null"),
        ("--pr-number", "#12"),
        ("--pr-number", "0"),
        ("--commit-sha", "4f2e9c1"),
        ("--head-branch", "ma\u{1b}in"),
    ] {
        let ci = Ci::new();
        let words = ["exec", flag, value, "--", "sh", "-c", "exit 3"];
        let output = ci.report(words).run();
        output.assert_code(3);
        let warnings = output.stderr();
        let warnings = warnings
            .lines()
            .filter(|line| line.contains("warning: left out of the run: "));
        assert_eq!(warnings.count(), 1, "{output}");
        let record = ci.record();
        assert_eq!(record.status, "failure", "{flag} {value}");
        assert!(
            record.finished_at.is_some() && record.started_at.as_str() > "2025",
            "{record:?}"
        );
        assert_eq!(record.get("head_branch").or(record.get("commit_sha")), None);
        // Found only at the end, it would leave behind a run that has begun and goes on for ever.
        let ci = Ci::new();
        ci.report(["--strict"].into_iter().chain(words)).run().assert_code(2);
        nothing_happened(&ci, &words);
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
fn a_finish_with_another_status_is_a_finish() {
    for (word, status) in [
        ("SUCCESS", Some("success")),
        ("Succeeded", Some("success")),
        ("failed", Some("failure")),
        ("ABORTED", Some("cancelled")),
        ("canceled", Some("cancelled")),
        ("elsewhere", None),
    ] {
        let ci = Ci::new();
        ci.report(["start"]).run().assert_code(0);
        ci.report(["finish", "--status", word]).run().assert_code(0);
        let record = ci.record();
        assert!(record.finished_at.is_some(), "{word}: {record:?}");
        assert!(
            status.is_none_or(|status| record.status == status),
            "{word}: {record:?}"
        );
    }
}

#[test]
fn line_ends_behind_a_value_are_no_part_of_it() {
    let ci = Ci::new();
    let output = ci
        .report(["start", "--strict", "--head-branch", "main\r"])
        .env("PIPEFOLD_REPOSITORY", "getdx/some_repo\r\n")
        .env("PIPEFOLD_PR_NUMBER", "7\r")
        .run();
    output.assert_code(0);
    let record = ci.record();
    assert_eq!((record.get("head_branch"), record.pr_number), (Some("main"), Some(7)));
    assert_eq!(record.get("repository"), Some("getdx/some_repo"));
}

#[test]
fn empty_values_and_values_with_dashes_are_accepted() {
    for flag in [
        "--token-file",
        "--ca-file",
        "--config",
        "--spool",
        "--policy-cache",
        "--dx-url",
        "--queue",
        "--email",
    ] {
        let ci = Ci::new();
        // Not by `Ci::report`, which gives `--config` itself.
        let command = ci.program(pipefold_tests::binary("pipefold"));
        let output = command
            .args(["exec"])
            .args(REQUIRED)
            .args([flag, "", "--", "sh", "-c", "exit 3"])
            .run();
        output.assert_code(3);
        assert_eq!(ci.record().status, "failure", "{flag}: {output}");
    }
    for name in ["--- build ---", "-DskipTests", "-x", "--no-such-flag"] {
        let ci = Ci::new();
        let words = ["exec", "--head-branch", name, "--", "sh", "-c", "exit 3"];
        ci.report(words).run().assert_code(3);
        assert_eq!(ci.record().get("head_branch"), Some(name));
        let step = ["step", "--step", name, "--now", "--", "sh", "-c", "exit 4"];
        ci.report_run("steps", step).run().assert_code(4);
        assert!(ci.dx.records().contains_key("steps"));
    }
    // A flag stays a flag: a value is missing before it, or it is another command's.
    let ci = Ci::new();
    ci.report(["exec", "--head-branch", "--dry-run", "--", "true"])
        .run()
        .assert_code(2);
    let output = ci.report(["exec", "--", "echo", "--head-branch", "-x"]).run();
    assert_eq!(output.stdout(), "--head-branch -x\n");
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
