//! The stream of refused ones, when there are many of them, and gaps between them.

use std::time::Duration;

use pipefold_tests::eventually;
use serde_json::json;

use crate::place::Fleet;

/// The number of refused upserts: far more than a command may ask for one by one.
const MANY: u64 = 3000;

/// The requests of a command that reads two of them: each, the list, and some to spare.
const FEW: u64 = 12;

/// Puts a refused upsert of this run into the stream, as a forwarder does.
fn refuse(fleet: &Fleet, runs: impl IntoIterator<Item = String>) {
    let mut connection = fleet.cluster.connect(0).unwrap();
    for run in runs {
        let upsert = json!({
            "pipeline_name": "p", "pipeline_source": "tests", "reference_id": run, "started_at": "2025-01-01T12:05:00Z",
            "status": "success",
        });
        let rejected = json!({
            "upsert": upsert, "code": "invalid_timestamp", "message": "no such day", "at": "2025-01-01T12:05:00Z",
        });
        let subject = format!("pipefold.rejected.{run}");
        let answer = connection.request(&subject, &[], rejected.to_string().as_bytes());
        assert!(answer.unwrap()["seq"].is_u64());
    }
}

/// The number of requests about streams that the servers got so far.
fn requests(fleet: &Fleet) -> u64 {
    let told = fleet.cluster.monitor(0, "/jsz").unwrap();
    told["api"]["total"].as_u64().unwrap()
}

#[test]
fn many_are_shown_in_part_and_gaps_cost_nothing() {
    let Some(fleet) = Fleet::start("many_are_shown_in_part_and_gaps_cost_nothing") else {
        return;
    };
    let rejected = |arguments: &[&str]| {
        let output = fleet.pipefold([&["forward", "rejected"], arguments].concat()).run();
        assert!(output.code.is_some(), "{output}");
        output
    };
    refuse(&fleet, ["first".to_owned()]);
    refuse(&fleet, (0..MANY).map(|number| format!("between-{number}")));
    refuse(&fleet, ["last".to_owned()]);
    let some = rejected(&["list"]);
    assert_eq!(some.stdout().lines().count(), 100, "{some}");
    assert!(some.stdout().starts_with("1  2025"), "{some}");
    let (more, all) = (MANY + 2 - 100, MANY + 2);
    assert!(
        some.stderr()
            .contains(&format!("{more} more are not shown; `--limit {all}` shows all")),
        "{some}"
    );
    assert_eq!(rejected(&["list", "--limit", "0", "--json"]).json()["count"], all);

    let mut connection = fleet.cluster.connect(0).unwrap();
    for number in 0..MANY {
        let filter = json!({ "filter": format!("pipefold.rejected.between-{number}") });
        let purged = connection.request(
            "$JS.API.STREAM.PURGE.PIPEFOLD_REJECTED",
            &[],
            filter.to_string().as_bytes(),
        );
        assert_eq!(purged.unwrap()["purged"], 1);
    }
    let before = requests(&fleet);
    let two = rejected(&["list"]);
    let numbers: Vec<String> = two
        .stdout()
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(numbers, ["1".to_owned(), (MANY + 2).to_string()], "{two}");
    assert_eq!(two.stderr(), "");
    assert!(
        requests(&fleet) - before < FEW,
        "{} requests",
        requests(&fleet) - before
    );

    // Numbers that do not exist, and one given twice: the others are done, and these are reported.
    let last = (MANY + 2).to_string();
    let retried = rejected(&["retry", "0", "2", &last, &last, "18446744073709551615"]);
    retried.assert_code(1);
    assert!(
        retried.stderr().contains("1 put back into the queue")
            && retried.stderr().contains("number 0, 2, 18446744073709551615"),
        "{retried}"
    );
    assert_eq!((fleet.waiting(), fleet.refused()), (1, 1));
    let dropped = rejected(&["drop", "--all", "--json"]);
    dropped.assert_code(0);
    assert_eq!(dropped.json(), json!({ "count": 1, "missing": [] }));
    assert_eq!(fleet.refused(), 0);
    assert_eq!(
        rejected(&["list", "--json"]).json(),
        json!({ "rejected": [], "count": 0 })
    );
    // Of none at all.
    for command in ["retry", "drop"] {
        let output = rejected(&[command, "--all", "--json"]);
        output.assert_code(0);
        assert_eq!(output.json()["count"], 0, "{output}");
    }
}

#[test]
fn putting_all_back_may_be_interrupted_and_loses_none() {
    let Some(fleet) = Fleet::start("putting_all_back_may_be_interrupted_and_loses_none") else {
        return;
    };
    let runs: Vec<String> = (0..1000).map(|number| format!("run-{number:04}")).collect();
    refuse(&fleet, runs.iter().cloned());
    let retry = || fleet.pipefold(["forward", "rejected", "retry", "--all"]);
    let mut interrupted = 0;
    for _ in 0..4 {
        let (before, running) = (fleet.waiting(), retry().spawn());
        eventually("it has put some back", || {
            fleet.waiting() > before + 10 || fleet.refused() == 0
        });
        // Dropped, it is killed, wherever it is.
        std::mem::drop(running);
        interrupted += usize::from(fleet.refused() > 0);
    }
    assert!(interrupted > 0, "it was always quicker");
    retry().timeout(Duration::from_secs(60)).run().assert_code(0);
    assert_eq!(fleet.refused(), 0);
    let messages = fleet.messages();
    let names: Vec<_> = messages
        .iter()
        .map(|message| message.json()["reference_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, runs, "each once, though some were put back twice");
}
