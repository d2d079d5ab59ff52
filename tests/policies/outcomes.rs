//! Decisions of a policy are shown as the policy made them.

use crate::place::{PIPELINE_NAME, discard_starts, hold_finishes, redact, under, write};
use pipefold_tests::{Ci, SpoolContent};

#[test]
fn a_held_finish_is_not_called_delivered() {
    let ci = Ci::new();
    ci.budgets(300, 600, 300);
    let policy = under(&write(&ci, "hold.wasm", &hold_finishes()));
    let exec = |before: &[&str], run: &str| {
        let arguments = ["exec", "--", "sleep", "0.1"].map(str::to_owned);
        let mut all: Vec<String> = vec![arguments[0].clone()];
        all.extend(before.iter().map(ToString::to_string));
        all.extend(policy.iter().cloned());
        all.extend(arguments[1..].iter().cloned());
        ci.report_run(run, all).run()
    };
    let output = exec(&[], "run-1");
    output.assert_code(0);
    insta::assert_snapshot!("held_exec", ci.neutral(&output.stderr()));
    assert!(!output.stderr().contains("delivered\n"), "{output}");
    exec(&["--strict"], "run-2").assert_code(1);
    let status = ci.pipefold(["status"]).run();
    assert!(status.stdout().contains("held by policy hold, not sent"), "{status}");
    let finish = ["finish", "--status", "success", "--json"].map(str::to_owned);
    let finished = ci.report_run("run-3", finish.into_iter().chain(policy.clone())).run();
    assert!(finished.stdout().contains(r#""delivered":false"#), "{finished}");
    insta::assert_snapshot!("held_finish", ci.neutral(&finished.stderr()));
}

#[test]
fn a_discarded_start_drops_its_run_on_this_machine() {
    let ci = Ci::new();
    let policy = under(&write(&ci, "discard.wasm", &discard_starts()));
    let with = |arguments: &[&str]| {
        let mut all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        all.splice(1..1, policy.iter().cloned());
        all
    };
    let output = ci.report(with(&["exec", "--", "true"])).run();
    output.assert_code(0);
    insta::assert_snapshot!("dropped_exec", ci.neutral(&output.stderr()));
    // In parts, by several processes, one of them without the policy.
    let started = ci.report_run("run-2", with(&["start"])).run();
    insta::assert_snapshot!("dropped_start", ci.neutral(&started.stderr()));
    ci.report_run("run-2", with(&["step", "--step", "a", "--now"]))
        .run()
        .assert_code(0);
    ci.report_run("run-2", ["step", "--step", "b", "--now"])
        .run()
        .assert_code(0);
    let finished = ci.report_run("run-2", with(&["finish", "--status", "success"])).run();
    insta::assert_snapshot!("dropped_finish", ci.neutral(&finished.stderr()));
    ci.pipefold(["flush"]).run().assert_code(0);
    assert!(ci.dx.requests().is_empty(), "{:?}", ci.dx.requests());
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn a_policy_that_spoils_a_run_is_at_fault_and_the_run_waits() {
    let ci = Ci::new();
    ci.budgets(300, 600, 300);
    let policy = under(&write(&ci, "blank.wasm", &redact(PIPELINE_NAME)));
    let arguments = [
        "exec".to_owned(),
        policy[0].clone(),
        policy[1].clone(),
        "--".into(),
        "true".into(),
    ];
    let output = ci.report(arguments).run();
    output.assert_code(0);
    insta::assert_snapshot!("policy_at_fault", ci.neutral(&output.stderr()));
    assert!(!output.stderr().contains("the run is not reported"), "{output}");
    let content = SpoolContent::read(&ci.spool());
    assert_eq!(
        (content.waiting().count(), content.rejections.len()),
        (2, 0),
        "{content:#?}"
    );
    // The good one in its place.
    let good = under(&write(&ci, "good.wasm", &redact(crate::place::EMAIL)));
    ci.pipefold([good[0].as_str(), &good[1], "flush", "--rejudge"])
        .run()
        .assert_code(0);
    assert_eq!(ci.record().status, "success");
}
