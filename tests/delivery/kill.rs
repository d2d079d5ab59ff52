//! A process that is killed at any moment loses nothing that was accepted, and leaves nothing that cannot be read.
//!
//! Thirty deaths, drawn by a seed; `make soak` has hundreds, each place among them.

use pipefold_tests::killing::{FLUSH, KILL_AT, Round, Undisturbed, count_places};
use pipefold_tests::{Ci, RUN, SpoolContent, seeded};

/// Any number; another draws other rounds.
const SEED: u64 = 20_250_101;
const ROUNDS: u32 = 30;

#[test]
fn a_killed_process_loses_nothing_that_was_accepted() {
    let places = count_places();
    assert!(places.iter().sum::<u64>() >= 20, "too few places to die at: {places:?}");
    // A record takes a file, its sync, its name and the directory's sync; a delivery at least the lock, the answer and the mark.
    assert!(
        places.iter().all(|places| *places >= 5),
        "a command with hardly a place to die at: {places:?}"
    );

    let mut random = seeded(SEED);
    let mut undisturbed = Undisturbed::default();
    let mut deaths = 0;
    for number in 1..=ROUNDS {
        let victim = random.usize(..FLUSH + 1);
        let round = Round {
            victim,
            kill_at: 1 + random.u64(..places[victim]),
            again: random.u64(..2) == 0,
            dx_down: victim == FLUSH || random.u64(..3) == 0,
        };
        // The harness shows this only when the test fails.
        println!("round {number}: {round:?}");
        deaths += u32::from(round.play(&mut undisturbed));
    }
    // With DX down, deliveries end earlier or go round more often, so some survive.
    assert!(deaths >= ROUNDS / 2, "only {deaths} of {ROUNDS} died");
}

#[test]
fn an_undisturbed_pipeline_reports_every_field() {
    // If this were empty, or the same without one of the commands, the comparison above would compare nothing.
    let mut undisturbed = Undisturbed::default();
    let all = undisturbed.record(0b1111);
    assert_eq!(all["status"], "success");
    assert_eq!(all["started_at"], "2025-01-01T11:00:00Z");
    assert_eq!(all["finished_at"], "2025-01-01T11:03:00Z");
    for missing in 0..4 {
        assert_ne!(
            undisturbed.record(0b1111 & !(1 << missing)),
            all,
            "without command {missing}"
        );
    }
}

#[test]
fn a_killed_exec_leaves_what_it_recorded() {
    for kill_at in 1.. {
        let ci = Ci::new();
        let output = ci.exec(["sh", "-c", "exit 3"]).env(KILL_AT, kill_at.to_string()).run();
        let survived = output.code == Some(3);
        assert!(survived || output.signal == Some(9), "{kill_at}: {output}");
        ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
        let content = SpoolContent::read(&ci.spool());
        content.assert_sound(&kill_at);
        assert_eq!(content.waiting().count(), 0, "{kill_at}: {content:#?}");
        let has = |hook: &str| content.records.iter().any(|record| record.hook() == hook);
        match ci.dx.records().remove(RUN) {
            None => assert!(content.records.is_empty(), "{kill_at}: {content:#?}"),
            Some(record) => {
                assert_eq!(record.finished_at.is_some(), has("finish"), "{kill_at}: {record:?}");
                assert_eq!(record.status == "failure", has("finish"), "{kill_at}: {record:?}");
                assert!(has("start") || has("finish"), "{kill_at}: {record:?}");
            }
        }
        if survived {
            assert!(kill_at > 20, "too few places to die at: {kill_at}");
            return;
        }
    }
}
