//! Many waiting records are sent in one request for each run.

use std::time::Duration;

use pipefold::{Hook, Notification};
use pipefold_tests::{Ci, Mode, RUN, SpoolContent};

use crate::library::{notification, reporter};

/// Calls `act` for each number below 500, on a few threads: recording waits for the disk most of the time.
fn for_each_of_500(act: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for first in 0..8 {
            let act = &act;
            scope.spawn(move || (first..500).step_by(8).for_each(act));
        }
    });
}

#[test]
fn a_start_500_urgent_steps_and_a_finish_that_wait_are_one_request() {
    let ci = Ci::new();
    ci.budgets(100, 100, 100);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report(["start", "--started-at", "2025-01-01T11:00:00Z"])
        .run()
        .assert_code(0);
    let reporter = reporter(&ci);
    for_each_of_500(|number| {
        let step = Notification {
            step: Some(format!("step-{number}")),
            urgent: true,
            status: Some("success".into()),
            started_at: Some(format!("2025-01-01T11:{:02}:{:02}Z", number / 60, number % 60)),
            head_branch: Some(format!("branch-{:03}", (number * 7) % 500)),
            ..notification(RUN)
        };
        assert!(reporter.record(Hook::Step, step).unwrap().on_disk);
    });
    ci.report(["finish", "--status", "success", "--finished-at", "2025-01-01T12:00:00Z"])
        .run()
        .assert_code(0);
    assert!(ci.dx.requests().is_empty(), "nothing got through so far");

    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush", "--timeout", "30s"]).run().assert_code(0);
    assert_eq!(ci.dx.run_requests().len(), 1);
    assert_eq!(ci.dx.job_requests().len(), 100, "the most jobs of a run");
    let record = ci.record();
    assert_eq!(record.started_at, "2025-01-01T11:00:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:00:00Z"));
    assert_eq!(
        (record.status.as_str(), record.get("head_branch")),
        ("success", Some("branch-499"))
    );
    let content = SpoolContent::read(&ci.spool());
    assert_eq!(content.records.len(), 502);
    assert_eq!(content.waiting().count(), 0, "that one covers all");
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.dx.requests().len(), 101, "there is nothing left to say");
}

#[test]
fn five_hundred_finished_runs_are_500_requests_all_accepted() {
    let ci = Ci::new();
    let reporter = reporter(&ci);
    let run = |number: u64| format!("run-{number:03}");
    for_each_of_500(|number| {
        let finish = Notification {
            status: Some("success".into()),
            ..notification(&run(number))
        };
        assert!(reporter.record(Hook::Finish, finish).unwrap().on_disk);
    });
    let output = ci.pipefold(["flush", "--json", "--timeout", "50s"]).run();
    output.assert_code(0).assert_within(Duration::from_secs(55));
    assert_eq!(output.json()["accepted"], 500, "{output}");
    assert_eq!(ci.dx.requests().len(), 500);
    let records = ci.dx.records();
    for number in 0..500 {
        assert_eq!(records[&run(number)].upserts, 1);
        assert!(records[&run(number)].finished_at.is_some());
    }
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}
