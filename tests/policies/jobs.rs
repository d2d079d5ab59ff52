//! A policy that renames one step and drops another: DX has exactly that, in whatever way the steps were reported.

use crate::place::{assert_nowhere, renaming_steps, under, write};
use pipefold_tests::{Ci, RUN, SpoolContent};

/// Asserts that DX has the job under its new name alone.
fn assert_renamed(ci: &Ci, way: &str) {
    assert_eq!(ci.record().status, "success", "{way}");
    let jobs: Vec<_> = ci
        .dx
        .jobs(RUN)
        .into_iter()
        .map(|job| (job.reference_id, job.name, job.status, job.upserts))
        .collect();
    let style = || "style".to_owned();
    assert_eq!(jobs, [(style(), style(), "success".to_owned(), 1)], "{way}");
    for secret in ["lint", "tricky"] {
        assert_nowhere(ci, &format!("\"{secret}\""));
    }
    assert_eq!(ci.dx.jobs_refused(), 0, "{way}");
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0, "{way}");
}

/// A machine with the policy, and the arguments that put it in front.
fn machine() -> (Ci, [String; 2]) {
    let ci = Ci::new();
    let policy = under(&write(&ci, "rename.wasm", &renaming_steps()));
    (ci, policy)
}

#[test]
fn of_steps_inside_exec() {
    let (ci, policy) = machine();
    let script = "pipefold step --step lint -- true; pipefold step --step tricky -- true";
    let file = ci.operator_file();
    let keys = format!("[[policy]]\nfile = \"{}\"\n", policy[1]);
    std::fs::write(file, keys).unwrap();
    ci.exec_script(script).run().assert_code(0);
    assert_renamed(&ci, "exec");
}

#[test]
fn of_steps_in_separate_processes() {
    for way in ["held", "urgent", "flushed before the end", "a finish without a start"] {
        let (ci, policy) = machine();
        let report = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string).chain(policy.clone());
            ci.report(words).run().assert_code(0);
        };
        if way != "a finish without a start" {
            report(&["start"]);
        }
        for name in ["lint", "tricky"] {
            report(&["step", "--step", name, "--status", "running"]);
            let end = ["step", "--step", name, "--status", "success"];
            if way == "urgent" {
                report(&[&end[..], &["--now"]].concat());
            } else {
                report(&end);
            }
        }
        if way == "flushed before the end" {
            let flush = policy.iter().cloned().chain(["flush".into()]);
            ci.pipefold(flush).run().assert_code(0);
            assert_eq!(ci.dx.jobs(RUN).len(), 1);
        }
        report(&["finish", "--status", "success"]);
        assert_renamed(&ci, way);
    }
}

#[test]
fn of_steps_that_were_recorded_without_the_policy() {
    let (ci, policy) = machine();
    for name in ["lint", "tricky"] {
        let words = ["step", "--step", name, "--status", "success"];
        ci.report(words).run().assert_code(0);
    }
    let finish = ["finish".into(), "--status".into(), "success".into()];
    ci.report(finish.into_iter().chain(policy)).run().assert_code(0);
    assert_renamed(&ci, "adopted");
}
