//! The reader of GoCD's feeds against servers of three ages, over generated histories: DX ends with exactly the runs that happened, read at
//! once, in parts that were killed, and while the history grows.
//!
//! `PIPEFOLD_SOAK_ROUNDS` asks for five hundred histories where there are fewer.

use crate::reading::{Reading, until_now};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use gocd_standin::Reading::{BackFill, Live};
use gocd_standin::{Expected, Generation, History, PipelineRun, Shape};
use pipefold_tests::eventually;
use rustix::process::Signal;

/// The histories on one server: each pipeline is one.
const TOGETHER: usize = 25;

fn shape() -> Shape {
    Shape {
        pipelines: TOGETHER,
        runs: 1..=6,
        long_runs: 8,
        ..Shape::default()
    }
}

/// The servers whose jobs are sent too: some, as jobs are sent at a pace.
const WITH_JOBS: u64 = 3;

/// Reads this number of histories on servers of an age, each at once.
fn at_once(generation: Generation, histories: usize) {
    for seed in 0..histories.div_ceil(TOGETHER) as u64 {
        let mut reading = Reading::new(History::generate(seed, &shape()), generation);
        reading.sends_jobs = seed < servers(WITH_JOBS);
        let summary = reading.read();
        let dialect = if generation == Generation::New { "new" } else { "old" };
        assert_eq!(summary["dialect"], dialect);
        assert_eq!(summary["waiting"], 0, "{summary:#}");
        reading.assert_told(BackFill, &(generation, seed));
    }
}

#[test]
fn five_hundred_histories_of_old_servers_at_once() {
    at_once(Generation::Old, 500);
}

#[test]
fn five_hundred_histories_of_new_servers_at_once() {
    at_once(Generation::New, 500);
}

#[test]
fn histories_of_servers_with_both_feeds_at_once() {
    at_once(Generation::Both, 50);
}

#[test]
fn the_new_feed_of_servers_with_both_and_revisions_by_request() {
    for seed in 20..21 {
        let mut reading = Reading::new(History::generate(seed, &shape()), Generation::Both);
        reading.read_as = Generation::New;
        reading.sync().args(["--dialect", "new"]).run().assert_code(0);
        reading.assert_told(BackFill, &seed);
        let mut reading = Reading::new(History::generate(seed, &shape()), Generation::New);
        reading.enriched = true;
        reading.sync().args(["--enrich"]).run().assert_code(0);
        reading.assert_told(BackFill, &("enriched", seed));
    }
}

/// The number of runs that may still go on: a reader looks at each of them in every round.
fn open_runs(history: &History) -> usize {
    let events = history.events();
    let now = DateTime::<Utc>::from(std::time::SystemTime::now());
    let is_open = |run: &&PipelineRun| {
        let is_listed = run.known(events).iter().any(|stage| stage.completed(events).is_some());
        let last = run.known(events).iter().map(|stage| stage.updated(events)).max();
        is_listed && last.is_some_and(|last| now - last < TimeDelta::days(14))
    };
    let runs = history.pipelines.iter().flat_map(|pipeline| &pipeline.runs);
    runs.filter(is_open).count()
}

#[test]
fn a_round_without_news_costs_a_request_for_each_pipeline_and_open_run() {
    let old = |seed: &u64| History::generate(*seed, &shape());
    let seed = (7..).find(|seed| open_runs(&until_now(old(seed))) > 10).unwrap();
    for generation in Generation::ALL {
        for is_recent in [false, true] {
            let history = if is_recent { until_now(old(&seed)) } else { old(&seed) };
            let open = open_runs(&history);
            assert_eq!(is_recent, open > 10, "{open}");
            let reading = Reading::new(history, generation);
            reading.read();
            let before = reading.gocd.requests();
            reading.read();
            let list = 1;
            let polled = if generation == Generation::New { open } else { 0 };
            let asked = reading.gocd.requests() - before;
            assert_eq!(asked, list + TOGETHER + polled, "{generation:?} {is_recent}");
        }
    }
}

/// Reads in ten parts, of which those are killed that do not come to the end before.
fn in_parts(generation: Generation, seed: u64) {
    let history = History::generate(seed, &shape());
    // A run is read whole or not at all: each of its stages' runs by name and by id, and each job. One that takes longer than a part lives
    // stops all behind it.
    let runs = history.pipelines.iter().flat_map(|pipeline| &pipeline.runs);
    let longest = runs
        .map(|run| run.stages.iter().map(|stage| 2 + stage.jobs.len()).sum::<usize>())
        .max();
    let reading = Reading::new(history, generation);
    let whole = Reading::new(History::generate(seed, &shape()), generation);
    whole.read();
    let requests = whole.gocd.requests();
    let mut random = Rng::with_seed(seed);
    let mut deaths = 0;
    for _ in 1..10 {
        let part = requests / 8 + random.usize(..requests / 8);
        let last = reading.gocd.requests() + part;
        let mut running = reading.sync().spawn();
        eventually("the requests of a part, or the end", || {
            reading.gocd.requests() >= last || running.has_ended()
        });
        if !running.has_ended() {
            running.signal(Signal::KILL);
        }
        let output = running.wait();
        assert!(output.code == Some(0) || output.signal == Some(9), "{output}");
        deaths += usize::from(output.signal == Some(9));
    }
    assert!(deaths > 2, "{generation:?} {seed}: only {deaths} parts");
    let before = reading.gocd.requests();
    reading.read();
    reading.assert_told(BackFill, &(generation, seed));
    // Each part went on where the one before it was killed, or the last would have had to read everything.
    let last = reading.gocd.requests() - before;
    assert!(
        last < requests / 2 || longest.unwrap() > requests / 8,
        "{generation:?} {seed}: {last} requests at last, {requests} at once"
    );
}

/// The number of servers: some, or in a soak those of five hundred histories.
fn servers(some: u64) -> u64 {
    if std::env::var_os("PIPEFOLD_SOAK_ROUNDS").is_some() {
        500_u64.div_ceil(TOGETHER as u64)
    } else {
        some
    }
}

#[test]
fn in_ten_parts() {
    for seed in 0..servers(1) {
        for generation in Generation::ALL {
            in_parts(generation, seed);
        }
    }
}

/// Reads while the history grows, with so many looks.
fn live(generation: Generation, seed: u64, shape: &Shape, looks: u64) {
    let history = History::generate(seed, shape);
    let history = until_now(history);
    let events = history.events();
    let reading = Reading::new(history, generation);
    for look in 1..=looks {
        reading.gocd.advance(events * look / looks);
        reading.read();
    }
    reading.assert_told(Live, &(generation, seed));
    // Nothing new, nothing reported.
    let before = reading.ci.dx.requests().len();
    let summary = reading.read();
    assert_eq!(summary["runs"], 0, "{summary:#}");
    assert_eq!(reading.ci.dx.requests().len(), before);
}

#[test]
fn while_the_history_of_an_old_server_grows() {
    for seed in 0..servers(1) {
        live(Generation::Old, 100 + seed, &shape(), 8);
        live(Generation::Both, 100 + seed, &shape(), 8);
    }
}

#[test]
fn while_the_history_of_a_new_server_grows() {
    // What comes of runs that ended long ago is found once a day, which a test does not wait for.
    let shape = Shape {
        is_brisk: true,
        months_later: 0,
        ..shape()
    };
    for seed in 0..servers(3) {
        live(Generation::New, 100 + seed, &shape, 8);
    }
}

#[test]
fn a_watch_follows_along_and_ends_on_a_signal() {
    let shape = Shape {
        pipelines: 3,
        ..Shape::brisk()
    };
    for generation in [Generation::Old, Generation::New] {
        let history = History::generate(11, &shape);
        let history = until_now(history);
        let events = history.events();
        let reading = Reading::new(history, generation);
        reading.gocd.advance(events / 3);
        let watch = reading.gocd("watch").args(["--every", "1s"]).spawn();
        for part in 1..=3 {
            reading.gocd.advance(events * part / 3);
            eventually("DX holds what happened", || {
                let expected = reading.expected(Live);
                Expected::differences(&expected, &reading.records()).is_empty()
            });
        }
        watch.signal(Signal::TERM);
        watch.wait().assert_code(0);
        reading.assert_told(Live, &generation);
    }
}
