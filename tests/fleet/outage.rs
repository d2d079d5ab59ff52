//! An outage of the whole queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipefold_tests::SpoolContent;

use crate::accepted::Accepted;
use crate::gateway::Gateway;
use crate::load::{Runner, through_gateway};
use crate::place::{Fleet, STREAM};

/// The number of builds at a time.
const RUNNERS: usize = 4;

/// Any number; another draws other runs.
const SEED: u64 = 20_250_102;

/// The duration of each state: each runner gets to some runs, even where each of its commands takes the whole of its budget.
const STATE: Duration = Duration::from_secs(4);

/// The requests to DX a second: enough to drain the backlog soon.
const RATE: &str = "100";

/// The time that a command may take beside its budgets on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(10);

/// The longest budget of a command.
const BUDGET: Duration = Duration::from_millis(1300);

/// All who report.
struct Builders {
    runners: Vec<Runner>,
    gateway: Gateway,
    accepted: Accepted,
}

impl Builders {
    /// Lets all of them report for a while. No command fails or takes longer than it may, and none is refused.
    fn work(&mut self, fleet: &Fleet, state: &str) {
        let (stop, before) = (AtomicBool::new(false), self.accepted.runs());
        std::thread::scope(|scope| {
            let (gateway, stop) = (&self.gateway, &stop);
            let mut working = vec![scope.spawn(move || through_gateway(gateway, state, SEED, stop))];
            for runner in &mut self.runners {
                working.push(scope.spawn(move || runner.work(fleet, BUDGET + SLACK, stop)));
            }
            std::thread::sleep(STATE);
            stop.store(true, Ordering::Relaxed);
            for work in working {
                let accepted = work.join().unwrap();
                assert!(accepted.runs() > 0, "one of them did nothing: {state}");
                self.accepted.join(accepted);
            }
        });
        let (runs, all) = (self.accepted.runs() - before, self.accepted.notifications());
        println!("{state}: {runs} runs, {all} notifications by now");
    }
}

/// Runs builds that end with different codes, at the same time and over one spool.
fn exec(fleet: &Fleet, state: &str) {
    std::thread::scope(|scope| {
        for number in 0..RUNNERS as i32 {
            scope.spawn(move || {
                let (name, script) = (format!("{state}-{number}"), format!("exit {number}"));
                let command = fleet.ci.report_run(&name, ["exec", "--", "sh", "-c", &script]);
                let output = fleet.told(command).run();
                output.assert_code(number);
                output.assert_within(BUDGET + SLACK);
                // One line about the run, and one about what else waits there.
                let said = output.stderr();
                let lines = said.lines().filter(|line| !line.contains(" other runs wait in "));
                assert_eq!(lines.count(), 1, "{output}");
            });
        }
    });
}

#[test]
fn without_a_majority_builds_go_on_and_everything_arrives_after() {
    let test = "without_a_majority_builds_go_on_and_everything_arrives_after";
    let Some(fleet) = Fleet::of_three(test) else { return };
    fleet.ci.budgets(300, 1000, 300);
    let forwarder = fleet.forward(&["--rate", RATE]);
    let directory = tempfile::tempdir().unwrap();
    let runner = |number| Runner::new(directory.path(), number, SEED);
    let mut builders = Builders {
        runners: (0..RUNNERS).map(runner).collect(),
        gateway: Gateway::start(&fleet, &directory.path().join("data"), "200"),
        accepted: Accepted::default(),
    };
    builders.work(&fleet, "all nodes");
    fleet.wait_until_empty();
    let before = fleet.ci.dx.records().len();
    assert_eq!(before, builders.accepted.runs());

    // One that is left answers, and acknowledges nothing.
    let last = fleet.cluster.leader(STREAM).unwrap();
    for index in (0..3).filter(|index| *index != last) {
        fleet.cluster.kill(index);
    }
    exec(&fleet, "one-left");
    assert!(
        SpoolContent::read(&fleet.ci.spool()).waiting().count() > 0,
        "nobody acknowledged that"
    );
    builders.work(&fleet, "one node");

    fleet.cluster.kill(last);
    exec(&fleet, "none-left");
    builders.work(&fleet, "no node");
    let status = fleet.pipefold(["status"]).run();
    status.assert_code(0);
    for name in ["one-left-0", "none-left-0", "none-left-3"] {
        assert!(status.stdout().contains(name), "{status}");
    }
    assert_eq!(fleet.ci.dx.records().len(), before, "nothing got through");

    for index in 0..3 {
        fleet.cluster.restart(index);
    }
    fleet.cluster.wait_ready();
    fleet.flush_all();
    for runner in &builders.runners {
        runner.flush(&fleet);
    }
    builders.accepted.assert_told(&fleet);
    let records = fleet.ci.dx.records();
    for (name, status) in [
        ("one-left-0", "success"),
        ("one-left-3", "failure"),
        ("none-left-0", "success"),
        ("none-left-1", "failure"),
    ] {
        assert_eq!(records[name].status, status, "{name}");
        assert!(records[name].finished_at.is_some(), "{name}");
    }
    assert_eq!(records.len(), builders.accepted.runs() + 2 * RUNNERS);
    // Both have found back by themselves.
    forwarder.stop();
    builders.gateway.stop();
}
