//! The steps of a run as DX's jobs: from every way of reporting, after their run, each in its last state, and not more often than needed.

use std::time::{Duration, Instant};

use dx_standin::{Endpoint, Mode, Times};
use pipefold_tests::{Ci, RUN, SpoolContent, until};

/// The jobs of the run in DX, sorted by name: name, status, and true with both times.
fn jobs(ci: &Ci) -> Vec<(String, String, bool)> {
    let mut jobs: Vec<_> = ci
        .dx
        .jobs(RUN)
        .into_iter()
        .map(|job| {
            (
                job.name,
                job.status,
                job.started_at.is_some() && job.finished_at.is_some(),
            )
        })
        .collect();
    jobs.sort_unstable();
    jobs
}

/// The jobs of the demonstration pipeline: six steps, one retried, one allowed to fail, two in parallel.
fn expected() -> Vec<(String, String, bool)> {
    let job = |(name, status): (&str, &str)| (name.to_owned(), status.to_owned(), true);
    [
        ("build", "success"),
        ("deploy", "success"),
        ("lint", "failure"),
        ("test", "success"),
        ("unit a", "success"),
        ("unit b", "success"),
    ]
    .map(job)
    .into()
}

/// Asserts that DX has the run and its jobs, that no job was sent before its run, and none more often than its states changed.
fn assert_demonstration(ci: &Ci) {
    assert_eq!(ci.record().status, "success");
    assert_eq!(jobs(ci), expected());
    assert_eq!(ci.dx.jobs_refused(), 0, "a job before its run");
    for job in ci.dx.jobs(RUN) {
        // A retried step may be sent twice: failed, and then successful.
        let most = if job.name == "test" { 2 } else { 1 };
        assert!(job.upserts <= most, "{job:?}");
    }
    let content = SpoolContent::read(&ci.spool());
    content.assert_sound(&"demonstration");
    assert_eq!(content.waiting().count(), 0, "{content:#?}");
}

#[test]
fn steps_inside_exec_are_jobs() {
    let ci = Ci::new();
    let script = "set -e
        pipefold step --step build -- true
        pipefold step --step lint --allow-failure -- false || true
        pipefold step --step 'unit a' -- sleep 0.1 & pipefold step --step 'unit b' -- sleep 0.1; wait
        pipefold step --step test -- false || pipefold step --step test -- true
        pipefold step --step deploy --status running
        pipefold step --step deploy --status success";
    ci.exec_script(script).run().assert_code(0);
    assert_demonstration(&ci);
}

#[test]
fn steps_of_separate_processes_are_jobs() {
    let ci = Ci::new();
    let at = |minute: u32| format!("2025-01-01T12:{minute:02}:00Z");
    ci.report(["start", "--started-at", &at(0)]).run().assert_code(0);
    let step = |name: &str, status: &str, more: &[&str]| {
        ci.report(["step", "--step", name, "--status", status].iter().chain(more).copied())
            .run()
            .assert_code(0);
    };
    step("build", "success", &["--started-at", &at(1), "--finished-at", &at(2)]);
    step(
        "lint",
        "failure",
        &["--allow-failure", "--started-at", &at(1), "--finished-at", &at(2)],
    );
    step("unit a", "running", &["--started-at", &at(2)]);
    step(
        "unit b",
        "success",
        &["--started-at", &at(2), "--finished-at", &at(3), "--now"],
    );
    step("unit a", "success", &["--finished-at", &at(3)]);
    step("test", "success", &["--started-at", &at(5), "--finished-at", &at(6)]);
    step("test", "failure", &["--started-at", &at(3), "--finished-at", &at(4)]);
    step(
        "deploy",
        "success",
        &["--started-at", &at(6), "--finished-at", &at(7), "--now"],
    );
    ci.report(["finish", "--status", "success", "--finished-at", &at(8)])
        .run()
        .assert_code(0);
    assert_demonstration(&ci);
    let unit = ci.dx.jobs(RUN).into_iter().find(|job| job.name == "unit a").unwrap();
    assert_eq!(unit.started_at, Some(at(2)), "its begin and its end are one job");
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_demonstration(&ci);
}

#[test]
fn steps_are_sent_beside_the_command_as_they_end() {
    let ci = Ci::new();
    let script = "pipefold step --step build -- true; until [ -e go ]; do sleep 0.02; done";
    let running = ci.exec_script(script).spawn();
    let arrived = until(Duration::from_secs(20), || ci.dx.jobs(RUN).pop());
    assert_eq!(arrived.expect("the job arrives").name, "build");
    assert_eq!(ci.record().status, "running", "the run goes on");
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(0);
    assert_eq!(ci.record().status, "success");
    assert_eq!(ci.dx.job_requests().len(), 1);
}

#[test]
fn an_earlier_execution_that_comes_later_changes_no_job() {
    let ci = Ci::new();
    for (status, minute) in [("success", 5), ("failure", 3)] {
        let (start, finish) = (
            format!("2025-01-01T12:{minute:02}:00Z"),
            format!("2025-01-01T12:{:02}:00Z", minute + 1),
        );
        let words = ["step", "--step", "test", "--now", "--status", status];
        ci.report(
            words
                .into_iter()
                .chain(["--started-at", &start, "--finished-at", &finish]),
        )
        .run()
        .assert_code(0);
    }
    ci.report(["finish", "--status", "success"]).run().assert_code(0);
    assert_eq!(jobs(&ci), [("test".to_owned(), "success".to_owned(), true)]);
    assert_eq!(ci.dx.job_requests().len(), 1);
}

/// Records a run of this many steps and its end, with a DX that takes nothing.
fn recorded(ci: &Ci, steps: usize) {
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report(["start", "--started-at", "2025-01-01T12:00:00Z"])
        .run()
        .assert_code(0);
    let key = ci.spool().join("runs");
    let step = |number: usize| {
        let name = format!("step {number:03}");
        let status = if number % 50 == 7 { "failure" } else { "success" };
        let finish = format!("2025-01-01T13:{:02}:{:02}Z", number / 60, number % 60);
        [
            "step",
            "--step",
            &name,
            "--status",
            status,
            "--allow-failure",
            "--started-at",
            "2025-01-01T12:00:00Z",
            "--finished-at",
            &finish,
        ]
        .map(str::to_owned)
    };
    ci.report(step(0)).run().assert_code(0);
    // The others are copies of the first record, as five hundred commands take a minute.
    let run = std::fs::read_dir(&key).unwrap().next().unwrap().unwrap().path();
    let record = Ci::files(&run)
        .into_iter()
        .map(|(_, content)| String::from_utf8(content).unwrap())
        .find(|content| content.contains("step 000"))
        .unwrap();
    for number in 1..steps {
        let [_, _, name, _, status, _, _, _, _, finish] = step(number);
        let copy = record
            .replace("step 000", &name)
            .replace("2025-01-01T13:00:00Z", &finish)
            .replace("\"success\"", &format!("\"{status}\""));
        std::fs::write(run.join(format!("{:032x}.json", (5 << 120) + number as u128)), copy).unwrap();
    }
}

#[test]
fn a_finish_with_500_jobs_keeps_its_budget() {
    let ci = Ci::new();
    recorded(&ci, 500);
    ci.dx.set_mode(Mode::Slow(Duration::from_millis(300)));
    let begin = Instant::now();
    let finish = ci.report(["finish", "--status", "success"]).run();
    finish.assert_code(0);
    // The budget of five seconds, and the time of a debug build on a busy machine.
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    assert_eq!(ci.record().status, "success");
    assert!(finish.stderr().contains("400 steps are not sent"), "{finish}");
    let sent = ci.dx.jobs(RUN);
    assert!(!sent.is_empty() && sent.len() <= 100, "{}", sent.len());
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    let jobs = ci.dx.jobs(RUN);
    assert_eq!(jobs.len(), 100);
    let failed = jobs.iter().filter(|job| job.status == "failure").count();
    assert_eq!(failed, 10, "failures first");
    // Then the longest, which end last.
    assert!(jobs.iter().any(|job| job.name == "step 499") && !jobs.iter().any(|job| job.name == "step 001"));
    assert!(jobs.iter().all(|job| job.upserts <= 2), "{jobs:?}");
}

#[test]
fn a_choice_of_jobs_is_kept() {
    for (settings, sent) in [
        ("jobs = \"failed\"\n", vec!["lint"]),
        ("jobs = \"none\"\n", vec![]),
        ("most_jobs = 2\n", vec!["build", "lint"]),
        ("most_jobs = 0\n", vec![]),
    ] {
        let ci = Ci::new();
        ci.operator(settings);
        let script = "pipefold step --step lint -- false; pipefold step --step build -- sleep 0.2; pipefold step --step unit -- true; true";
        ci.exec_script(script).run().assert_code(0);
        let names: Vec<String> = jobs(&ci).into_iter().map(|job| job.0).collect();
        if settings.starts_with("most_jobs = 2") {
            assert!(names.len() == 2 && names.contains(&"lint".to_owned()), "{names:?}");
        } else {
            assert_eq!(names, sent, "{settings}");
        }
        assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
    }
}

#[test]
fn a_dx_without_the_method_is_mentioned_once_a_day() {
    for mode in Mode::lacking() {
        let ci = Ci::new();
        ci.dx.misbehave_at(Endpoint::Jobs, mode.clone(), Times::Always);
        let report = |run: &str| {
            ci.report_run(run, ["start"]).run().assert_code(0);
            ci.report_run(run, ["step", "--step", "s", "--status", "success"])
                .run()
                .assert_code(0);
            ci.report_run(run, ["finish", "--status", "success", "--strict", "-v"])
                .run()
        };
        let first = report("first");
        first.assert_code(0);
        assert!(first.stderr().contains("DX does not take steps"), "{mode:?}: {first}");
        let second = report("second");
        second.assert_code(0);
        assert!(!second.stderr().contains("does not take steps"), "{mode:?}: {second}");
        assert_eq!(ci.dx.job_requests().len(), 1, "{mode:?}");
        assert_eq!(ci.record_of("second").status, "success");
        assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
    }
}

#[test]
fn a_run_that_dx_lost_is_sent_again_before_its_jobs() {
    let ci = Ci::new();
    ci.report(["start"]).run().assert_code(0);
    ci.report(["step", "--step", "s", "--status", "success", "--now"])
        .run()
        .assert_code(0);
    ci.dx.misbehave_at(Endpoint::Jobs, Mode::InternalError, Times::Always);
    ci.budgets(300, 300, 300);
    ci.report(["step", "--step", "t", "--status", "success"])
        .run()
        .assert_code(0);
    let finish = ci.report(["finish", "--status", "success"]).run();
    finish.assert_code(0);
    assert!(finish.stderr().contains("1 of 1 steps are not in DX yet"), "{finish}");
    ci.dx.forget(RUN);
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
    assert_eq!(jobs(&ci).iter().map(|job| job.0.as_str()).collect::<Vec<_>>(), ["t"]);
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn lost_answers_and_refusals_lose_no_job() {
    for mode in [
        Mode::CloseHalfWay,
        Mode::InternalError,
        Mode::NotOk {
            code: "database_is_locked".into(),
            status: 422,
        },
    ] {
        let ci = Ci::new();
        recorded(&ci, 20);
        ci.dx.set_mode(Mode::Normal);
        ci.dx.misbehave_at(Endpoint::Jobs, mode.clone(), Times::Next(5));
        ci.report(["finish", "--status", "success"]).run().assert_code(0);
        ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
        let jobs = ci.dx.jobs(RUN);
        assert_eq!(jobs.len(), 20, "{mode:?}");
        assert!(jobs.iter().all(|job| job.upserts <= 2), "{mode:?}: {jobs:?}");
        assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0, "{mode:?}");
    }
}

#[test]
fn a_job_that_dx_rejects_is_named() {
    let ci = Ci::new();
    let rejected = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    ci.dx.misbehave_at(Endpoint::Jobs, rejected, Times::Always);
    ci.report(["step", "--step", "s", "--status", "success"])
        .run()
        .assert_code(0);
    let finish = ci.report(["finish", "--status", "success", "--strict"]).run();
    assert_ne!(finish.code, Some(0), "{finish}");
    assert!(
        finish
            .stderr()
            .contains("DX refused step s of run run-1: invalid_timestamp"),
        "{finish}"
    );
    assert_eq!(ci.record().status, "success");
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}
