//! An upsert whose answer was lost is sent again, and is no second message.

use std::collections::BTreeSet;

use pipefold_tests::SpoolContent;
use pipefold_tests::killing::{KILL_AT, PIPELINE_COMMANDS};

use crate::place::Fleet;

/// The limit of kill points: more than a start has.
const MANY: u64 = 100;

#[test]
fn a_runner_that_dies_at_any_place_and_flushes_later_makes_one_message() {
    let Some(fleet) = Fleet::start("a_runner_that_dies_at_any_place_and_flushes_later_makes_one_message") else {
        return;
    };
    let (mut deaths, mut recorded) = (0, BTreeSet::new());
    for place in 1..MANY {
        let run = format!("run-{place}");
        // A spool of its own: with other runs in it there are more places to die at.
        let spool = fleet.ci.directory().join(&run);
        let start = fleet.report(&run, PIPELINE_COMMANDS[0]).env("PIPEFOLD_SPOOL", &spool);
        let output = start.env(KILL_AT, place.to_string()).run();
        let flush = fleet.pipefold(["flush", "--timeout", "20s"]);
        flush.env("PIPEFOLD_SPOOL", &spool).run().assert_code(0);
        let content = SpoolContent::read(&spool);
        content.assert_sound(&place);
        assert_eq!(content.waiting().count(), 0, "place {place}: {content:#?}");
        if !content.records.is_empty() {
            recorded.insert(run);
        }
        if output.signal.is_none() {
            output.assert_code(0);
            break;
        }
        deaths += 1;
    }
    assert!(
        deaths > 5 && deaths + 1 < MANY,
        "{deaths} deaths: this needs a debug build"
    );
    let messages = fleet.messages();
    let names: Vec<String> = messages
        .iter()
        .map(|message| message.json()["reference_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), recorded.len(), "{names:?}");
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), recorded);
}

#[test]
fn many_that_wait_go_over_one_connection() {
    let Some(fleet) = Fleet::start("many_that_wait_go_over_one_connection") else {
        return;
    };
    fleet.ci.budgets(100, 100, 100);
    fleet.cluster.kill(0);
    for number in 0..10 {
        let output = fleet.report(&format!("run-{number}"), "finish --status success").run();
        output.assert_code(0);
    }
    assert_eq!(SpoolContent::read(&fleet.ci.spool()).waiting().count(), 10);
    fleet.cluster.restart(0);
    fleet.cluster.wait_ready();
    fleet.flush_all();
    assert_eq!(fleet.waiting(), 10);
    let told = fleet.cluster.monitor(0, "/varz").unwrap();
    let connections = told["total_connections"].as_u64().unwrap();
    assert!(connections < 5, "{connections} for ten");
}
