//! A notification recorded under a policy leaves the machine only through it, or through one that the operator named in its place.

use std::fs;
use std::path::PathBuf;

use crate::place::{EMAIL, HEAD_BRANCH, SECRET, assert_nowhere, redact, trap, under, write};
use pipefold_tests::{Ci, Mode, Output, SpoolContent, binary, eventually};

/// A machine whose commands take little time to give up.
fn machine() -> Ci {
    let ci = Ci::new();
    ci.budgets(300, 600, 300);
    ci
}

/// `exec` with the secret, under a policy.
fn exec(ci: &Ci, policy: &[String]) -> Output {
    let mut arguments = vec!["exec".to_owned(), "--email".into(), SECRET.into()];
    arguments.extend(policy.iter().cloned());
    arguments.extend(["--".into(), "true".into()]);
    let output = ci.report(arguments).run();
    output.assert_code(0);
    output
}

/// A `flush`, with these arguments in front.
fn flush(ci: &Ci, before: &[String], after: &[&str]) -> Output {
    let after = ["flush", "--timeout", "20s"]
        .iter()
        .chain(after)
        .map(ToString::to_string);
    ci.pipefold(before.iter().cloned().chain(after)).run()
}

fn waiting(ci: &Ci) -> usize {
    SpoolContent::read(&ci.spool()).waiting().count()
}

/// Policies that give no verdict: a trap, an import that is not granted, a file that is not there, and one that is no component.
fn failing(ci: &Ci) -> Vec<(&'static str, PathBuf)> {
    let wasi = r#"(component (import "wasi:filesystem/preopens@0.2.0" (instance)))"#;
    vec![
        ("trap", write(ci, "trap.wasm", &trap())),
        ("wasi", write(ci, "wasi.wasm", &wat::parse_str(wasi).unwrap())),
        ("absent", ci.directory().join("absent.wasm")),
        ("text", write(ci, "text.wasm", b"no component")),
    ]
}

#[test]
fn a_failed_policy_is_not_bypassed_by_a_plain_flush_or_another_job() {
    for index in 0..4 {
        let ci = machine();
        let (name, policy) = failing(&ci).swap_remove(index);
        exec(&ci, &under(&policy));
        assert_eq!(waiting(&ci), 2, "{name}");

        let flushed = flush(&ci, &[], &[]);
        assert!(
            flushed.stderr().contains(&format!(
                "2 notifications wait for the policies they were recorded under: {name}"
            )),
            "{flushed}"
        );
        ci.report_run("another", ["exec", "--", "true"]).run().assert_code(0);
        ci.report(["start"]).run().assert_code(0);
        assert_nowhere(&ci, SECRET);
        assert!(ci.dx.records().contains_key("another"), "{name}");
        assert!(waiting(&ci) >= 2, "{name}: nothing is lost");

        // The mended policy is another one: it takes the word of the operator.
        fs::write(&policy, redact(EMAIL)).unwrap();
        flush(&ci, &under(&policy), &[]).assert_code(0);
        assert!(waiting(&ci) >= 2, "{name}");
        flush(&ci, &under(&policy), &["--rejudge"]).assert_code(0);
        assert_eq!(waiting(&ci), 0, "{name}");
        assert_eq!(ci.record().status, "success", "{name}");
        assert_nowhere(&ci, SECRET);
    }
}

#[test]
fn a_working_policy_is_not_bypassed_after_an_outage() {
    let ci = machine();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    ci.dx.set_mode(Mode::InternalError);
    exec(&ci, &under(&policy));
    ci.dx.set_mode(Mode::Normal);

    flush(&ci, &[], &[]).assert_code(0);
    ci.report_run("another", ["exec", "--", "true"]).run().assert_code(0);
    assert_nowhere(&ci, SECRET);
    let status = ci.pipefold(["status"]).run();
    assert!(status.stdout().contains("recorded under redact ("), "{status}");

    // Another policy is no substitute, unless the operator names it as one; the same one is, wherever its file lies now.
    let other = write(&ci, "other.wasm", &redact(HEAD_BRANCH));
    flush(&ci, &under(&other), &[]).assert_code(0);
    assert!(!ci.dx.records().contains_key("run-1"));
    let moved = write(&ci, "moved.wasm", &redact(EMAIL));
    flush(&ci, &under(&moved), &[]).assert_code(0);
    assert_eq!(ci.record().status, "success");
    assert_nowhere(&ci, SECRET);
    assert_eq!(waiting(&ci), 0);
}

#[test]
fn a_rejudging_flush_without_a_policy_sends_nothing() {
    let ci = machine();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    ci.dx.set_mode(Mode::InternalError);
    exec(&ci, &under(&policy));
    ci.dx.set_mode(Mode::Normal);
    let requests = ci.dx.requests().len();
    let output = flush(&ci, &["--strict".into()], &["--rejudge"]);
    output.assert_code(2);
    assert!(output.stderr().contains("--policy"), "{output}");
    assert_eq!(ci.dx.requests().len(), requests);
}

#[test]
fn what_was_recorded_without_a_policy_passes_one_that_has_it() {
    let ci = machine();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    ci.dx.set_mode(Mode::InternalError);
    ci.report(["start", "--email", SECRET]).run().assert_code(0);
    ci.report(["step", "--step", "test", "--status", "success", "--email", SECRET])
        .run()
        .assert_code(0);
    let before = ci.dx.requests().len();
    ci.dx.set_mode(Mode::Normal);
    let finish = ["finish", "--status", "success", "--policy", policy.to_str().unwrap()];
    ci.report(finish).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
    for request in &ci.dx.requests()[before..] {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
    assert_eq!(waiting(&ci), 0);
}

/// Ways in which a build may try to report its steps without the policy of the `exec` around it.
const OPT_OUTS: [&str; 4] = [
    "pipefold step --step a --now --email $SECRET -- true",
    "env -u PIPEFOLD_POLICY pipefold step --step a --now --email $SECRET -- true",
    "env -u PIPEFOLD_POLICY -u PIPEFOLD_CONFIG -u PIPEFOLD_OUTER pipefold step --step a --now --email $SECRET -- true",
    // A record that claims to have passed the policy, with a verdict of its own.
    "pipefold step --step a --now --email $SECRET -- true
     for file in $PIPEFOLD_SPOOL/runs/*/*.json; do
        grep -q '\"hook\":\"step\"' $file && sed -i \"s/\\\"verdict\\\":{\\\"report\\\":{/&\\\"email\\\":\\\"$SECRET\\\",/\" $file
     done",
];

#[test]
fn a_step_within_cannot_opt_out_of_the_policy_around_it() {
    for script in OPT_OUTS {
        let ci = machine();
        // Enough for the finish and the step on a busy machine.
        ci.budgets(2_000, 20_000, 300);
        let policy = write(&ci, "redact.wasm", &redact(EMAIL));
        let script = format!("{script}; until [ -e go ]; do sleep 0.05; done");
        let binary = binary("pipefold");
        let path = format!(
            "{}:{}",
            binary.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let running = ci
            .report(["exec", "--policy", policy.to_str().unwrap(), "--", "sh", "-c", &script])
            .env("PATH", path)
            .env("SECRET", SECRET)
            .env("DX_API_TOKEN", ci.dx.token())
            .spawn();
        eventually("start and step are sent while the command runs", || {
            ci.dx.requests().len() > 1
        });
        fs::write(ci.workspace().join("go"), "").unwrap();
        let output = running.wait();
        output.assert_code(0);
        assert_eq!(ci.record().status, "success", "{script}: {output}");
        assert_nowhere(&ci, SECRET);
        assert_eq!(waiting(&ci), 0, "{script}");
    }
}

#[test]
fn an_export_carries_the_policies_and_an_import_keeps_them() {
    let ci = machine();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    ci.dx.set_mode(Mode::InternalError);
    exec(&ci, &under(&policy));
    ci.dx.set_mode(Mode::Normal);
    let file = ci.directory().join("export.jsonl");
    ci.pipefold(["flush", "--export", file.to_str().unwrap()])
        .run()
        .assert_code(0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let elsewhere = ci.directory().join("elsewhere");
    let there = |arguments: &[&str]| {
        let output = ci
            .pipefold(arguments.iter().copied())
            .env("PIPEFOLD_SPOOL", elsewhere.display().to_string())
            .run();
        output.assert_code(0);
        output
    };
    let requests = ci.dx.requests().len();
    let imported = there(&["flush", "--import", file.to_str().unwrap()]);
    insta::assert_snapshot!("import_without_the_policy", ci.neutral(&imported.stderr()));
    assert_eq!(ci.dx.requests().len(), requests);
    there(&["flush", "--policy", policy.to_str().unwrap()]);
    assert_eq!(ci.record().status, "success");
    for request in &ci.dx.requests()[requests..] {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
}

/// The step's own record may hold it: it was recorded without the policy.
fn assert_not_sent(ci: &Ci) {
    for request in ci.dx.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
}

#[test]
fn records_of_a_build_stay_bound_when_its_exec_is_killed() {
    let ci = machine();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    let binary = binary("pipefold");
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    // The start is delivered, then the `exec` is killed, and only then the step is recorded.
    let script = "until [ -e go ]; do sleep 0.05; done; kill -9 $PPID; env -u PIPEFOLD_POLICY pipefold step --step a --now --email $SECRET -- true";
    let killed = ci
        .report(["exec", "--policy", policy.to_str().unwrap(), "--", "sh", "-c", script])
        .env("PATH", path)
        .env("SECRET", SECRET)
        .spawn();
    eventually("the start is delivered", || {
        let content = SpoolContent::read(&ci.spool());
        content.records.len() == 1 && content.waiting().count() == 0
    });
    fs::write(ci.workspace().join("go"), "").unwrap();
    let killed = killed.wait();
    assert_eq!(killed.signal, Some(9), "{killed}");
    eventually("the step is recorded", || {
        SpoolContent::read(&ci.spool())
            .records
            .iter()
            .any(|record| record.hook() == "step")
    });

    let flushed = flush(&ci, &[], &[]);
    insta::assert_snapshot!("flush_without_the_policy", ci.neutral(&flushed.stderr()));
    // Nor by the end that another process gives to a run without one.
    flush(&ci, &[], &["--abandon", "0s"]);
    assert_not_sent(&ci);
    let requests = ci.dx.requests().len();
    flush(&ci, &under(&policy), &[]).assert_code(0);
    assert!(ci.dx.requests().len() > requests, "the step is sent through the policy");
    assert_not_sent(&ci);
}
