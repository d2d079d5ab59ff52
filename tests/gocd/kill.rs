//! A reader of a GoCD server that is killed loses no run and reports none twice.
//!
//! Thirty deaths, drawn by a seed; `PIPEFOLD_SOAK_ROUNDS` sets another number.

use crate::reading::{Reading, until_now};
use gocd_standin::Reading::{BackFill, Live};
use gocd_standin::{Generation, History, Shape};
use pipefold_tests::killing::KILL_AT;
use pipefold_tests::{Mode, eventually, number_from, seeded};
use rustix::process::Signal;

/// Any number; another draws other rounds.
const SEED: u64 = 20_260_101;
const ROUNDS: u64 = 30;

/// The moment of the reader's death.
#[derive(Debug)]
enum Death {
    /// At this place in the writing of the spool or the delivery, where a death could do harm.
    At(u64),
    /// After so many requests.
    After(u64),
}

#[test]
fn a_killed_reader_loses_and_doubles_nothing() {
    let rounds = number_from("PIPEFOLD_SOAK_ROUNDS").unwrap_or(ROUNDS);
    let mut random = seeded(SEED);
    let mut deaths = 0;
    for round in 1..=rounds {
        let generation = Generation::ALL[random.usize(..3)];
        let grows = random.u64(..2) == 0;
        let dx_is_down = random.u64(..3) == 0;
        let shape = Shape {
            pipelines: 3,
            runs: 1..=4,
            // What comes of runs that ended long ago is found once a day in new feeds, which a test does not wait for.
            ..if grows { Shape::brisk() } else { Shape::default() }
        };
        let history = until_now(History::generate(random.u64(..1 << 40), &shape));
        let events = history.events();
        let reading = Reading::new(history, generation);
        if dx_is_down {
            reading.ci.dx.set_mode(Mode::InternalError);
        }
        // Two in a row: what the first left must not be what the second stumbles over.
        for part in 1..=2 {
            if grows {
                reading.gocd.advance(events * part / 3);
            }
            let death = match random.u64(..3) {
                0 => Death::After(1 + random.u64(..60)),
                _ => Death::At(1 + random.u64(..250)),
            };
            // The harness shows this only when the test fails.
            println!("round {round}: {generation:?}, grows: {grows}, {dx_is_down}, {death:?}");
            deaths += u64::from(dies(&reading, &death));
        }
        reading.ci.dx.set_mode(Mode::Normal);
        reading.gocd.advance(events);
        reading.read();
        reading.assert_told(if grows { Live } else { BackFill }, &round);
    }
    // Some have nothing more to do before they would die.
    assert!(deaths >= rounds, "only {deaths} deaths in {rounds} rounds");
}

/// Reads until it dies. Returns true if it died before it was done.
fn dies(reading: &Reading, death: &Death) -> bool {
    // A DX that is down would be tried for long.
    let sync = reading.sync().args(["--timeout", "100ms"]);
    let output = match death {
        Death::At(place) => sync.env(KILL_AT, place.to_string()).run(),
        Death::After(requests) => {
            let last = reading.gocd.requests() + *requests as usize;
            let mut running = sync.spawn();
            eventually("the requests before its death, or its end", || {
                reading.gocd.requests() >= last || running.has_ended()
            });
            if !running.has_ended() {
                running.signal(Signal::KILL);
            }
            running.wait()
        }
    };
    let died = output.signal == Some(9);
    assert!(died || output.code == Some(0), "{output}");
    died
}
