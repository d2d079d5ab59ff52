//! The status of a run is decided by its command, its finish, or its steps.

use pipefold_tests::{Ci, Output};

/// A run that is reported piece by piece.
struct Run(Ci);

impl Run {
    fn start() -> Self {
        let ci = Ci::new();
        ci.report(["start"]).run().assert_code(0);
        assert_eq!(ci.record().status, "running");
        Self(ci)
    }

    fn step(&self, name: &str, more: &[&str]) -> Output {
        self.0
            .report(["step", "--step", name].into_iter().chain(more.iter().copied()))
            .run()
    }

    fn finish(&self, more: &[&str]) -> String {
        self.0
            .report(["finish"].into_iter().chain(more.iter().copied()))
            .run()
            .assert_code(0);
        let record = self.0.record();
        assert!(record.finished_at.is_some(), "{record:?}");
        record.status
    }
}

#[test]
fn a_failed_and_retried_step_does_not_turn_a_green_build_red() {
    let ci = Ci::new();
    let script = "pipefold step --step deploy -- false; pipefold step --step deploy -- true";
    ci.exec_script(script).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
}

#[test]
fn the_command_decides_whatever_its_steps_say() {
    for status in ["failure", "cancelled", "running", "unknown", "success"] {
        let ci = Ci::new();
        ci.exec_script(&format!("pipefold step --step s --status {status}; exit 0"))
            .run()
            .assert_code(0);
        assert_eq!(ci.record().status, "success", "a step that says {status}");
        let ci = Ci::new();
        ci.exec_script(&format!("pipefold step --step s --status {status}; exit 1"))
            .run()
            .assert_code(1);
        assert_eq!(ci.record().status, "failure", "a step that says {status}");
    }
}

#[test]
fn a_finish_with_a_status_decides() {
    let run = Run::start();
    run.step("test", &["--status", "failure"]).assert_code(0);
    assert_eq!(run.finish(&["--status", "success"]), "success");
}

#[test]
fn without_one_the_steps_decide() {
    let run = Run::start();
    run.step("a", &["--", "true"]).assert_code(0);
    run.step("b", &["--status", "success"]).assert_code(0);
    assert_eq!(run.finish(&[]), "success");

    let run = Run::start();
    run.step("a", &["--", "true"]).assert_code(0);
    run.step("b", &["--", "sh", "-c", "exit 9"]).assert_code(9);
    run.step("c", &["--status", "success"]).assert_code(0);
    assert_eq!(run.finish(&[]), "failure");
}

#[test]
fn a_step_that_is_allowed_to_fail_does_not_count_when_it_does() {
    let run = Run::start();
    run.step("lint", &["--allow-failure", "--", "false"]).assert_code(1);
    run.step("flaky", &["--allow-failure", "--status", "cancelled"])
        .assert_code(0);
    run.step("test", &["--status", "success"]).assert_code(0);
    assert_eq!(run.finish(&[]), "success");
}

#[test]
fn without_any_status_the_run_is_still_running_or_less() {
    let run = Run::start();
    assert_eq!(run.finish(&[]), "running");
    let ci = Ci::new();
    ci.report(["finish"]).run().assert_code(0);
    assert_eq!(ci.record().status, "unknown");
    assert!(
        ci.dx.upserts()[0].get("status").is_none(),
        "DX's page has no such word: {:?}",
        ci.dx.upserts()
    );
}

#[test]
fn a_status_in_the_environment_is_not_that_of_the_start() {
    let ci = Ci::new();
    ci.report(["start"])
        .env("PIPEFOLD_STATUS", "failure")
        .run()
        .assert_code(0);
    ci.report(["finish", "--status", "success"]).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
    let ci = Ci::new();
    ci.exec(["true"]).env("PIPEFOLD_STATUS", "failure").run().assert_code(0);
    assert_eq!(ci.record().status, "success");
    let ci = Ci::new();
    ci.report(["finish"])
        .env("PIPEFOLD_STATUS", "cancelled")
        .run()
        .assert_code(0);
    assert_eq!(ci.record().status, "cancelled");
}

#[test]
fn steps_wait_for_the_finish_and_an_urgent_one_does_not() {
    let run = Run::start();
    let sent = || (run.0.dx.run_requests().len(), run.0.dx.job_requests().len());
    assert_eq!(sent(), (1, 0));
    run.step("a", &["--status", "success"]).assert_code(0);
    run.step("b", &["--", "true"]).assert_code(0);
    assert_eq!(sent(), (1, 0), "held");
    run.step("c", &["--status", "success", "--now"]).assert_code(0);
    assert_eq!(sent(), (2, 3), "sent at once, with the steps that ended before");
    assert_eq!(run.0.record().finished_at, None, "a step's end is not the run's");
    assert_eq!(run.finish(&["--status", "success"]), "success");
    assert_eq!(sent(), (3, 3), "one request for all the rest");
}

#[test]
fn an_urgent_step_that_may_fail_is_no_failure_for_ever() {
    let run = Run::start();
    run.step("lint", &["--now", "--allow-failure", "--status", "failure"])
        .assert_code(0);
    assert_eq!(run.0.record().status, "running");
    assert_eq!(run.finish(&["--status", "success"]), "success");
}

#[test]
fn the_steps_exit_code_is_passed_on_and_its_command_is_needed_to_run() {
    let run = Run::start();
    run.step("a", &["--", "sh", "-c", "kill -9 $$"]).assert_code(137);
    run.step("b", &["--", "no-such-command-anywhere"]).assert_code(127);
    let output = run.0.report(["step", "--", "true"]).run();
    assert!(output.assert_code(2).stderr().contains("--step"), "{output}");
    let output = run.step("c", &["--status", "success", "--", "true"]);
    output.assert_code(2);
}

#[test]
fn a_step_or_a_finish_without_a_start_brings_its_own() {
    let ci = Ci::new();
    ci.report(["step", "--step", "only", "--started-at", "2025-01-01T12:00:00"])
        .run()
        .assert_code(0);
    assert!(ci.dx.requests().is_empty());
    ci.report(["finish", "--status", "success", "--finished-at", "2025-01-01T12:10:00Z"])
        .run()
        .assert_code(0);
    let record = ci.record();
    assert_eq!(record.started_at, "2025-01-01T12:00:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
    assert_eq!(record.upserts, 1);
}

#[test]
fn a_finish_before_the_recorded_start_is_put_right_with_a_warning() {
    let ci = Ci::new();
    ci.report(["start", "--started-at", "2025-01-01T12:00:00Z"])
        .run()
        .assert_code(0);
    let output = ci
        .report(["finish", "--status", "success", "--finished-at", "2025-01-01T11:00:00Z"])
        .run();
    output.assert_code(0);
    insta::assert_snapshot!("finish_before_start", ci.neutral(&output.stderr()));
    assert_eq!(ci.record().finished_at.as_deref(), Some("2025-01-01T12:00:00Z"));
}

#[test]
fn a_later_command_need_not_repeat_the_names() {
    let ci = Ci::new();
    ci.report(["start", "--repository", "getdx/some_repo"])
        .run()
        .assert_code(0);
    let id = ["--reference-id", pipefold_tests::RUN];
    ci.pipefold(["step", "--step", "s", "--status", "success"].into_iter().chain(id))
        .run()
        .assert_code(0);
    ci.pipefold(["finish"].into_iter().chain(id)).run().assert_code(0);
    let record = ci.record();
    assert_eq!(
        (record.status.as_str(), record.get("repository")),
        ("success", Some("getdx/some_repo"))
    );
}

#[test]
fn an_urgent_failure_is_no_failure_for_ever() {
    let run = Run::start();
    run.step("a", &["--now", "--status", "failure"]).assert_code(0);
    run.step("b", &["--now", "--status", "cancelled"]).assert_code(0);
    assert_eq!(run.0.record().status, "running", "it may be tried again");
    assert_eq!(run.finish(&["--status", "success"]), "success");
    let run = Run::start();
    run.step("a", &["--now", "--status", "failure"]).assert_code(0);
    assert_eq!(run.finish(&[]), "failure", "it counts at the end");
}

#[test]
fn a_finish_without_a_status_is_warned_about() {
    let run = Run::start();
    run.step("x", &[]).assert_code(0);
    let output = run.0.report(["finish", "--strict"]).run();
    output.assert_code(0);
    assert!(output.stderr().contains("ends without a status"), "{output}");
    let run = Run::start();
    run.step("x", &["--status", "success"]).assert_code(0);
    assert_eq!(run.0.report(["finish"]).run().stderr(), "");
}

#[test]
fn steps_without_the_token_are_counted_or_reported() {
    let ci = Ci::new();
    let without = |words: &[&str]| {
        let output = ci.report(words.iter().copied()).env_remove("DX_API_TOKEN").run();
        output.assert_code(0);
    };
    without(&["start"]);
    without(&["step", "--step", "test", "--status", "failure"]);
    let output = ci.report(["finish"]).run();
    output.assert_code(0);
    let told = "2 notifications of this run are not counted, recorded without a token: `pipefold flush` sends them";
    assert!(output.stderr().contains(told), "{output}");
    ci.report(["finish", "--strict"]).run().assert_code(1);
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn a_step_after_the_end_is_sent_and_not_left_behind() {
    let run = Run::start();
    run.step("a", &["--status", "success"]).assert_code(0);
    assert_eq!(run.finish(&[]), "success");
    run.step("b", &["--status", "failure"]).assert_code(0);
    assert_eq!(run.0.record().status, "failure", "nothing else would send it");
    let content = pipefold_tests::SpoolContent::read(&run.0.spool());
    assert_eq!((content.records.len(), content.waiting().count()), (4, 0));
    run.step("c", &["--", "true"]).assert_code(0);
    assert_eq!(pipefold_tests::SpoolContent::read(&run.0.spool()).waiting().count(), 0);
}

#[test]
fn steps_of_one_name_are_one_job_unless_they_have_ids() {
    let run = Run::start();
    for (name, more) in [
        (
            "test",
            &["--status", "failure", "--started-at", "2100-01-01T12:00:00Z"][..],
        ),
        ("test", &["--status", "success", "--started-at", "2100-01-01T12:01:00Z"]),
        (
            "matrix",
            &["--step-id", "matrix-1", "--status", "failure", "--allow-failure"],
        ),
        ("matrix", &["--step-id", "matrix-2", "--status", "success"]),
        ("blank", &["--step-id", " ", "--status", "success"]),
    ] {
        run.step(name, more).assert_code(0);
    }
    run.finish(&["--status", "success"]);
    let jobs = run.0.dx.jobs(pipefold_tests::RUN);
    let mut jobs: Vec<_> = jobs
        .iter()
        .map(|job| (job.reference_id.as_str(), job.name.as_str(), job.status.as_str()))
        .collect();
    jobs.sort_unstable();
    let expected = [
        ("blank", "blank", "success"),
        ("matrix-1", "matrix", "failure"),
        ("matrix-2", "matrix", "success"),
        ("test", "test", "success"),
    ];
    assert_eq!(jobs, expected);
}
