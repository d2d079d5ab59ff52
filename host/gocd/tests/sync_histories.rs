//! Histories of 500 servers, read at once, in parts and while they grow: the same runs each time.

use std::cell::Cell;

use crate::sync_support::*;
use chrono::{DateTime, TimeDelta, Utc};
use gocd_standin::{Generation, History, Reading, Shape};
use pipefold_gocd::sync::*;

fn shape() -> Shape {
    Shape {
        runs: 1..=14,
        ..Shape::default()
    }
}

/// The number of histories. The first dozens already have everything in them.
const HISTORIES: u64 = 500;

/// The server that a history is followed on or read from in parts: one dialect each, which is half of the time for all of them in both.
fn generation(seed: u64) -> Generation {
    match seed % 10 {
        0 => Generation::Both,
        of if of % 2 == 0 => Generation::Old,
        _ => Generation::New,
    }
}

#[test]
fn a_history_that_is_read_at_once_gives_the_expected_runs() {
    for seed in 0..HISTORIES {
        let history = History::generate(seed, &shape());
        for generation in Generation::ALL {
            let (source, files, mut told) = (Memory::new(&history, generation), Files::default(), Told::default());
            let done = round(&source, &files, &mut told, &options(), late()).unwrap();
            assert!(done.failed.is_empty() && !done.stopped, "seed {seed}: {done:?}");
            let is = (generation, Reading::BackFill, false);
            let found = differences(&history, history.events(), is, &told);
            assert!(found.is_empty(), "seed {seed}, {generation:?}: {found:#?}");
            // Nothing was reported twice, and again there is nothing to report.
            let count = told.notifications();
            round(&source, &files, &mut told, &options(), late()).unwrap();
            assert_eq!(told.notifications(), count, "seed {seed}, {generation:?}");
        }
    }
}

#[test]
fn what_the_json_api_knows_of_revisions_makes_up_for_the_feed() {
    let options = Options {
        enrich: true,
        ..options()
    };
    for seed in 0..HISTORIES / 5 {
        let history = History::generate(seed, &shape());
        let (source, mut told) = (Memory::new(&history, Generation::New), Told::default());
        round(&source, &Files::default(), &mut told, &options, late()).unwrap();
        let found = differences(
            &history,
            history.events(),
            (Generation::New, Reading::BackFill, true),
            &told,
        );
        assert!(found.is_empty(), "seed {seed}: {found:#?}");
    }
}

/// Reading, saving and reporting fail at random, and rounds are stopped anywhere.
#[test]
fn a_history_that_is_read_in_parts_gives_the_same_runs() {
    let mut parts = 0;
    for seed in 0..HISTORIES {
        let (history, generation) = (History::generate(seed, &shape()), generation(seed));
        let mut all = Troubled::new(&history, generation, seed);
        let patience = Dice::new(seed);
        for _ in 0..10 {
            let left = Cell::new(patience.roll(60));
            let stop = || {
                left.set(left.get().saturating_sub(1));
                left.get() == 0
            };
            let done = Engine::new(&all.source, &all.files, &mut all.told, &mut (), options()).round(late(), &stop);
            parts += u32::from(!matches!(done, Ok(Round { stopped: false, ref failed, .. }) if failed.is_empty()));
        }
        // What only adds to a run is asked for once more a minute later.
        let done = all.mended().round(late() + TimeDelta::minutes(1)).unwrap();
        assert!(done.failed.is_empty() && !done.stopped, "seed {seed}: {done:?}");
        let is = (generation, Reading::BackFill, false);
        let found = differences(&history, history.events(), is, &all.told);
        assert!(found.is_empty(), "seed {seed}, {generation:?}: {found:#?}");
    }
    assert!(parts > 2000, "only {parts} parts were interrupted");
}

/// A round after each few events, of which every third server has trouble with some.
#[test]
fn a_history_that_is_followed_gives_the_same_runs() {
    for seed in 0..HISTORIES {
        let (history, generation) = (History::generate(seed, &shape()), generation(seed));
        let mut all = Troubled::new(&history, generation, seed);
        let is_troubled = seed % 3 == 0;
        if !is_troubled {
            all.mended();
        }
        let dice = Dice::new(seed);
        let mut events = 0;
        while events < history.events() {
            events = (events + 1 + dice.roll(12)).min(history.events());
            all.source.server.borrow_mut().advance(events);
            let now = history.time(events).unwrap() + TimeDelta::seconds(1);
            let done = all.round(now);
            if is_troubled {
                continue;
            }
            assert!(done.unwrap().failed.is_empty(), "seed {seed}");
            if dice.roll(8) == 0 {
                // At any time it is right as far as it goes; what comes late to old runs, after the next full walk.
                all.round(now + TimeDelta::days(1)).unwrap();
                let found = differences(&history, events, (generation, Reading::Live, false), &all.told);
                assert!(
                    found.is_empty(),
                    "seed {seed}, {generation:?} after {events}: {found:#?}"
                );
            }
        }
        let now = history.time(events).unwrap() + TimeDelta::days(2);
        all.mended().round(now).unwrap();
        let found = differences(&history, events, (generation, Reading::Live, false), &all.told);
        assert!(found.is_empty(), "seed {seed}, {generation:?}: {found:#?}");
    }
}

/// A server, a store and a sink that fail at random.
struct Troubled {
    source: Memory,
    files: Files,
    told: Told,
}

impl Troubled {
    fn new(history: &History, generation: Generation, seed: u64) -> Self {
        let dice = |place| Dice::new(seed * 8 + place);
        Self {
            source: Memory {
                trouble: Some((20, dice(0))),
                ..Memory::new(history, generation)
            },
            files: Files {
                trouble: Some((40, dice(1))),
                ..Files::default()
            },
            told: Told {
                trouble: Some((100, dice(2))),
                ..Told::default()
            },
        }
    }

    fn mended(&mut self) -> &mut Self {
        self.source.trouble = None;
        self.files.trouble = None;
        self.told.trouble = None;
        self
    }

    fn round(&mut self, now: DateTime<Utc>) -> Result<Round, SyncError> {
        round(&self.source, &self.files, &mut self.told, &options(), now)
    }
}
