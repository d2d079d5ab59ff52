//! Nothing of the queue answers for a while.

use std::time::Duration;

use pipefold_tests::SpoolContent;
use pipefold_tests::nats::{Message, Options};

use crate::place::{Fleet, STREAM};

/// What a command may take beside its budgets on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(10);

/// How long it may take until a forwarder has found back: no longer than the queue waits for a word from one that it gave something to.
const AFTER: Duration = Duration::from_secs(60);

#[test]
fn without_any_node_or_a_majority_builds_go_on_and_everything_arrives_after() {
    let test = "without_any_node_or_a_majority_builds_go_on_and_everything_arrives_after";
    let options = Options {
        nodes: 3,
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    fleet.init(&[]);
    fleet.ci.budgets(300, 1000, 300);
    let forwarder = fleet.forward(&[]);
    let exec = |fleet: &Fleet, name: &str, code: i32| {
        let script = format!("exit {code}");
        let mut command = fleet.ci.report_run(name, ["exec", "--", "sh", "-c", &script]);
        command = fleet.told(command);
        let output = command.run();
        output.assert_code(code);
        output.assert_within(Duration::from_millis(1300) + SLACK);
        output
    };
    exec(&fleet, "before", 0);
    fleet.wait_until_empty();

    // One that is left answers, and acknowledges nothing.
    let last = fleet.cluster.leader(STREAM).unwrap();
    for index in (0..3).filter(|index| *index != last) {
        fleet.cluster.kill(index);
    }
    let output = exec(&fleet, "one-left", 3);
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    assert!(
        SpoolContent::read(&fleet.ci.spool()).waiting().count() > 0,
        "nobody acknowledged that"
    );

    fleet.cluster.kill(last);
    for number in 0..3 {
        let output = exec(&fleet, &format!("none-left-{number}"), 7);
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
    let status = fleet.pipefold(["status"]).run();
    status.assert_code(0);
    for name in ["one-left", "none-left-0", "none-left-2"] {
        assert!(status.stdout().contains(name), "{status}");
    }
    assert_eq!(fleet.ci.dx.records().len(), 1, "only the first got through");

    for index in 0..3 {
        fleet.cluster.restart(index);
    }
    fleet.cluster.wait_ready();
    fleet.flush_all();
    assert!(
        fleet.ci.dx.wait_until(AFTER, |dx| dx.records().len() == 5),
        "{:?} arrived, {:?}\n{:?}\n{}",
        fleet.ci.dx.records().keys(),
        fleet.cluster.stream(STREAM),
        fleet.messages().iter().map(Message::json).collect::<Vec<_>>(),
        forwarder.log()
    );
    fleet.wait_until_empty();
    let records = fleet.ci.dx.records();
    for (name, status) in [
        ("before", "success"),
        ("one-left", "failure"),
        ("none-left-1", "failure"),
    ] {
        assert_eq!(records[name].status, status, "{name}");
        assert!(records[name].finished_at.is_some(), "{name}");
    }
    // The forwarder has found back by itself.
    forwarder.stop();
}
