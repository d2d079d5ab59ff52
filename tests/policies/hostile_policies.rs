//! Hostile policies through the command: the build is as it would be without them, and notifications that they fail to judge are not sent.
//!
//! The exact error of each kind of guest is in `host/sandbox/tests/hostile`; here are some of each kind, on the way to a log.

use crate::module::Module;
use crate::wasi;
use pipefold_tests::{Ci, Output, RUN};
use std::{fs, time::Duration};

/// A policy's own time for each of the calls that an `exec` makes, the budget of a finish, and as much again on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// A policy that does this in each hook.
fn each_hook(body: &str, more: &str) -> Vec<u8> {
    let module = Module {
        pipeline_start: body.into(),
        step: body.into(),
        pipeline_finish: body.into(),
        more: more.into(),
        ..Module::default()
    };
    module.policy()
}

/// A policy that does this, and then passes the question on.
fn first(start: &str, finish: &str) -> Module {
    Module {
        pipeline_start: format!("{start} (call $next_start (local.get 0) (i32.const 1024)) (i32.const 1024)"),
        pipeline_finish: format!(
            "{finish} (call $next_finish (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)"
        ),
        ..Module::default()
    }
}

/// Guests, and the line in the build's log about each.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    // Another first letter for the reference_id of each notification; a notification has 208 bytes.
    let lie = "(i32.store8 (i32.load offset=28 (local.get 0)) (i32.const 120))";
    let lies = "(local $i i32) (loop
        (i32.store8
            (i32.load offset=28 (i32.add (local.get 0) (i32.mul (local.get $i) (i32.const 208))))
            (i32.const 120))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 1))))";
    let wasi = r#"(component (import "wasi:filesystem/preopens@0.2.0" (instance)))"#;
    let whole = first("", "").policy();
    vec![
        (
            "a trap",
            each_hook("unreachable", ""),
            "crashed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "a loop",
            each_hook("(loop (br 0)) unreachable", ""),
            "was stopped after 250 ms, its time limit",
        ),
        (
            "nonsense",
            each_hook("(i32.const -8)", ""),
            "gave a bad answer: pointer out of bounds of memory",
        ),
        (
            "greed",
            each_hook("(drop (memory.grow (i32.const 2000))) unreachable", ""),
            "reached the memory limit of 64 MiB",
        ),
        (
            "a dive",
            each_hook("(call $f)", "(func $f (result i32) (drop (call $f)) (i32.const 0))"),
            "reached the stack limit of 512 KiB",
        ),
        (
            "a lie",
            first(lie, lies).policy(),
            "gave a bad answer: it answers for another reference_id than it was asked about",
        ),
        ("a part", whole[..whole.len() / 2].to_vec(), "it does not load"),
        ("nothing", Vec::new(), "it does not load: the file is empty"),
        (
            "a core module",
            wat::parse_str("(module)").unwrap(),
            "it does not load: a core module, not a component",
        ),
        (
            "wasi",
            wat::parse_str(wasi).unwrap(),
            "it imports wasi:filesystem/preopens@0.2.0, which is not granted",
        ),
        (
            "33 MB",
            vec![0; (32 << 20) + 1],
            "larger than 33554432 bytes, the limit for a component",
        ),
    ]
}

/// Runs a build behind the policy of this machine's operator.
fn build(ci: &Ci, component: &[u8], policy: &str, top: &str) -> Output {
    let path = ci.directory().join("guest.wasm");
    fs::write(&path, component).unwrap();
    ci.operator(&format!(
        "{top}\n[[policy]]\nfile = {path:?}\nname = \"guest\"\n{policy}\n"
    ));
    let script = "echo out; echo err >&2; exit 7";
    let output = ci
        .report(["exec", "--email", "john@getdx.com", "--", "sh", "-c", script])
        .run();
    // What the build is without pipefold.
    output.assert_code(7).assert_within(LONGEST);
    assert_eq!(output.stdout(), "out\n", "{output}");
    assert!(output.stderr().lines().any(|line| line == "err"), "{output}");
    output
}

#[test]
fn a_policy_that_fails_changes_no_build_and_nothing_of_it_is_sent() {
    for (what, component, told) in hostile() {
        let ci = Ci::new();
        let output = build(&ci, &component, "", "");
        assert!(output.stderr().contains(told), "{what}: {output}");
        assert!(output.stderr().contains("guest"), "{what}: {output}");
        assert_eq!(ci.dx.requests().len(), 0, "{what}: {output}");
    }
}

#[test]
fn a_policy_that_may_fail_is_passed_over() {
    for (what, component, _) in hostile() {
        let ci = Ci::new();
        let output = build(&ci, &component, "failure = \"open\"", "");
        let records = ci.dx.records();
        let status = records.get(RUN).map(|record| record.status.as_str());
        assert_eq!(status, Some("failure"), "{what}: {output}");
        let is_reported = ["; the policy is skipped", " questions and was passed over"];
        assert!(
            is_reported.iter().any(|words| output.stderr().contains(words)),
            "{what}: {output}"
        );
    }
}

#[test]
fn notifications_are_judged_again_once_a_policy_is_mended() {
    let ci = Ci::new();
    build(&ci, &each_hook("unreachable", ""), "", "");
    assert_eq!(ci.dx.requests().len(), 0);
    fs::write(ci.directory().join("guest.wasm"), first("", "").policy()).unwrap();
    // A mended policy is another one: that it takes the place of the recorded one is the operator's word.
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.dx.requests().len(), 0);
    ci.pipefold(["flush", "--rejudge"]).run().assert_code(0);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn log_lines_of_a_policy_reach_the_terminal_escaped() {
    // Clears the screen, and begins a line that a CI system takes for a command.
    let words = r#"(data (i32.const 4096) "\1b[2J\0a::error::forged")"#;
    let log = "(call $log (i32.const 2) (i32.const 4096) (i32.const 20))";
    let endless = format!(
        "(local $i i32) (loop {log} (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))"
    );
    let chatty = Module {
        imports: r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#.into(),
        more: words.into(),
        ..first(&endless, "")
    };
    let ci = Ci::new();
    let output = build(&ci, &chatty.policy(), "grants = [\"log\"]", "");
    assert_neutral(&output);
    let lines = output.stderr().lines().filter(|line| line.contains("forged")).count();
    // The start may be judged again when it is delivered.
    assert!((50..=150).contains(&lines), "{lines}: {output}");
    assert_eq!(ci.record().status, "failure");

    // The same as the message of a refusal, and as the reason for a discard.
    let refusal = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 1))
        (i32.store (i32.const 2060) (i32.const 4096)) (i32.store (i32.const 2064) (i32.const 20)) (i32.const 1024)";
    let discard = "(i32.store8 (i32.const 1032) (i32.const 2)) (i32.store (i32.const 1040) (i32.const 4096)) (i32.store (i32.const 1044) (i32.const 20)) (i32.const 1024)";
    for (body, told) in [
        (refusal, "message of a refusal has control characters"),
        (discard, "reason for a discard has control characters"),
    ] {
        let ci = Ci::new();
        let output = build(&ci, &each_hook(body, words), "", "");
        assert_neutral(&output);
        assert!(output.stderr().contains(told), "{output}");
        assert_eq!(ci.dx.requests().len(), 0, "{output}");
    }
}

fn assert_neutral(output: &Output) {
    assert!(!output.stderr().contains('\x1b'), "{output}");
    let forged = output.stderr().lines().any(|line| line.starts_with("::error::"));
    assert!(!forged, "{output}");
}

#[test]
fn a_notification_that_a_policy_drops_is_reported() {
    let words = r#"(data (i32.const 4096) "nobody's business")"#;
    let discard = "(i32.store8 (i32.const 1032) (i32.const 2)) (i32.store (i32.const 1040) (i32.const 4096)) (i32.store (i32.const 1044) (i32.const 17)) (i32.const 1024)";
    let ci = Ci::new();
    let output = build(&ci, &each_hook(discard, words), "", "");
    let stderr = output.stderr();
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("pipefold: failure in "), "{output}");
    assert!(last.ends_with(", dropped: nobody's business"), "{output}");
    let start = ci.report(["start", "--strict"]).run();
    start.assert_code(0);
    assert_eq!(
        start.stderr(),
        "pipefold: not reported, as a policy dropped it: nobody's business\n"
    );
    assert_eq!(ci.dx.requests().len(), 0);
}

/// The fate of a step behind a policy that opens `path` in a directory with a file and a pipe, and drops the step if it read something.
fn step_behind_a_reader(path: &str, access: &str) -> String {
    let ci = Ci::new();
    let data = ci.directory().join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("teams.csv"), "ada").unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, data.join("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let read = "(i64.const 100) (i64.const 0) (i32.const 2032) (call $read)
        (call $say (i32.load (i32.const 2036)) (i32.load (i32.const 2040)))";
    fs::write(ci.directory().join("guest.wasm"), wasi::opens(path, 0, 1, read)).unwrap();
    // A relative path is taken from the directory of the file.
    ci.operator(&format!("[[policy]]\nfile = \"guest.wasm\"\n{access}\n"));
    let wrapped = ci
        .report(["step", "--step", "compile", "--", "sh", "-c", "exit 7"])
        .run();
    wrapped.assert_code(7).assert_within(LONGEST);
    ci.report(["step", "--step", "compile", "--dry-run"]).run().to_string()
}

#[test]
fn a_policy_reads_the_directory_that_it_is_granted() {
    let output = step_behind_a_reader("teams.csv", "dir = {path = \"data\"}");
    assert!(output.contains("discard: ada\n"), "{output}");
}

#[test]
fn a_policy_without_a_directory_does_not_load() {
    let output = step_behind_a_reader("teams.csv", "");
    let told = "it imports wasi:filesystem/preopens@0.2.0, which is not granted; grant `wasi` to allow it, which has no files, or `dir`";
    assert!(output.contains(told), "{output}");
}

#[test]
fn a_pipe_in_a_granted_directory_holds_up_no_build() {
    let output = step_behind_a_reader("pipe", "dir = {path = \"data\"}");
    assert!(output.contains("its time limit"), "{output}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let output = step_behind_a_reader("teams.csv", "dir = {path = \"none\"}");
    assert!(output.contains("none cannot be opened: No such file"), "{output}");
}
