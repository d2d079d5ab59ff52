//! Notifications recorded while another process delivers are never left behind.

use std::time::Duration;

use fastrand::Rng;
use pipefold::spool::RunKey;
use pipefold::{Budget, Hook};
use pipefold_tests::{Ci, Mode, Record, Running, Times, eventually};

use crate::library::{notification, reporter};

/// Rounds of each race, several at a time: most of their time is waiting.
const ROUNDS: u64 = 30;
const AT_ONCE: u64 = 6;

fn finished(ci: &Ci, reference_id: &str) -> Option<Record> {
    ci.dx
        .records()
        .remove(reference_id)
        .filter(|record| record.finished_at.is_some())
}

/// Plays the rounds on a few threads.
fn race(round: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let round = &round;
            scope.spawn(move || (first..ROUNDS).step_by(AT_ONCE as usize).for_each(round));
        }
    });
}

/// A machine with the waiting run `slow`, whose first delivery DX refuses once: its deliverer pauses then, while it holds the lock.
fn machine_with_a_slow_run() -> Ci {
    let ci = Ci::new();
    reporter(&ci).record(Hook::Finish, notification("slow")).unwrap();
    ci.dx.misbehave_for("slow", Mode::InternalError, Times::Next(1));
    ci
}

#[test]
fn a_finish_that_does_not_wait_for_the_drainer_is_delivered_by_it() {
    race(|number| {
        let ci = machine_with_a_slow_run();
        let drainer = ci.pipefold(["flush", "--timeout", "30s"]).spawn();
        // From before the flush begins until after it has ended.
        std::thread::sleep(Duration::from_millis(Rng::with_seed(number).u64(..400)));
        let other = reporter(&ci);
        other.record(Hook::Finish, notification("quick")).unwrap();
        let delivery = other.deliver(Some("quick"), &Budget::new(Duration::from_secs(30)), false);
        assert!(delivery.busy || delivery.first_settled, "{delivery:?}");
        drainer.wait().assert_code(0);
        assert!(finished(&ci, "slow").is_some(), "round {number}");
        assert!(
            finished(&ci, "quick").is_some(),
            "round {number}: left behind, after {delivery:?}"
        );
    });
}

#[test]
fn a_finish_of_the_very_run_that_is_being_delivered_is_not_left_behind() {
    race(|number| {
        let ci = Ci::new();
        reporter(&ci).record(Hook::Start, notification("run")).unwrap();
        ci.dx.misbehave(Mode::InternalError, Times::Next(1));
        let drainer = ci.pipefold(["flush", "--timeout", "30s"]).spawn();
        std::thread::sleep(Duration::from_millis(Rng::with_seed(number).u64(..400)));
        let other = reporter(&ci);
        other.record(Hook::Finish, notification("run")).unwrap();
        let delivery = other.deliver(Some("run"), &Budget::new(Duration::from_secs(30)), false);
        drainer.wait().assert_code(0);
        assert!(
            finished(&ci, "run").is_some(),
            "round {number}: left behind, after {delivery:?}"
        );
    });
}

#[test]
fn commands_of_many_runs_that_end_at_once_leave_nothing_behind() {
    let ci = Ci::new();
    let runs: Vec<String> = (0..12).map(|number| format!("run-{number}")).collect();
    // A finish that finds the lock taken waits for it; on a busy machine longer than by default.
    ci.budgets(5_000, 50_000, 2_000);
    for command in ["start", "finish"] {
        let running: Vec<_> = runs.iter().map(|run| ci.report_run(run, [command]).spawn()).collect();
        for running in running {
            running.wait().assert_code(0);
        }
    }
    for run in &runs {
        assert!(finished(&ci, run).is_some(), "{run}");
    }
}

/// A flush that waits for DX's answer about the run `hangs`.
fn hanging_drainer(ci: &Ci) -> Running {
    reporter(ci).record(Hook::Finish, notification("hangs")).unwrap();
    ci.dx.misbehave_for("hangs", Mode::Hang, Times::Next(1));
    let drainer = ci.pipefold(["flush", "--timeout", "50s"]).spawn();
    eventually("the request is sent", || !ci.dx.requests().is_empty());
    drainer
}

#[test]
fn a_killed_drainer_delays_no_other() {
    let ci = Ci::new();
    let drainer = hanging_drainer(&ci);
    drop(drainer);
    ci.report_run("next", ["finish"]).run().assert_code(0);
    assert!(finished(&ci, "next").is_some());
    assert!(finished(&ci, "hangs").is_some(), "whoever drains next delivers it");
}

#[test]
fn forty_that_end_at_once_are_all_delivered_by_a_slow_dx() {
    let ci = Ci::new();
    ci.budgets(20_000, 20_000, 20_000);
    ci.dx.set_mode(Mode::Slow(Duration::from_millis(150)));
    let runs: Vec<String> = (0..40).map(|number| format!("run-{number}")).collect();
    let running: Vec<_> = runs
        .iter()
        .map(|run| ci.report_run(run, ["finish", "--status", "success"]).spawn())
        .collect();
    for running in running {
        let output = running.wait();
        output.assert_code(0);
        assert_eq!(output.stderr(), "");
    }
    for run in &runs {
        assert!(finished(&ci, run).is_some(), "{run}");
    }
    // Each sends its own; one of them may have found others that were not yet being sent.
    assert!(ci.dx.requests().len() < 60, "{} requests", ci.dx.requests().len());
}

#[test]
fn a_process_that_is_stopped_while_it_delivers_keeps_no_other_from_it() {
    let ci = Ci::new();
    // It has the lock of all, and that of this run.
    let drainer = hanging_drainer(&ci);
    ci.budgets(60_000, 60_000, 60_000);
    let output = ci.report_run("next", ["finish"]).run();
    output.assert_within(Duration::from_secs(30));
    assert!(finished(&ci, "next").is_some(), "{output}");
    ci.operator("");
    let output = ci.report_run("hangs", ["finish"]).run();
    assert!(finished(&ci, "hangs").is_some(), "{output}");
    drop(drainer);
}

#[test]
fn runs_that_other_processes_are_sending_are_not_waited_for() {
    let ci = Ci::new();
    let reporter = reporter(&ci);
    let runs: Vec<String> = (0..5).map(|number| format!("locked-{number}")).collect();
    let locks: Vec<_> = runs
        .iter()
        .map(|run| {
            reporter.record(Hook::Finish, notification(run)).unwrap();
            reporter.spool().unwrap().try_lock_run(RunKey::of(run))
        })
        .collect();
    ci.budgets(60_000, 60_000, 60_000);
    let output = ci.report_run("next", ["finish"]).run();
    output.assert_code(0).assert_within(Duration::from_secs(30));
    assert!(finished(&ci, "next").is_some(), "{output}");
    assert_eq!(ci.dx.requests().len(), 1);
    drop(locks);
}
