//! A collector that is killed at any moment has on disk all that it answered `ok` to, and folds it into the run that DX would have.
//!
//! Fifteen deaths, drawn by a seed; `make soak` has two hundred, by `PIPEFOLD_SERVE_ROUNDS`. `PIPEFOLD_SEED` repeats the draw of an earlier run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use pipefold_tests::http::Client;
use pipefold_tests::{Collector, eventually, fold, number_from, seeded};
use serde_json::{Value, json};

/// Any number; another draws other rounds.
const SEED: u64 = 20_250_101;

const CONNECTIONS: usize = 16;
const RUNS: usize = 60;
const NOTIFICATIONS: usize = 6;

/// The fate of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unsent,
    /// Sent without an answer: it may have arrived.
    Unanswered,
    Acknowledged,
}

/// One notification of the round. Its e-mail address is unique and identifies it.
#[derive(Clone, Debug)]
struct Said {
    run: usize,
    arguments: Value,
    fate: Fate,
}

fn name(round: usize, run: usize) -> String {
    format!("round-{round}/run-{run}")
}

/// The notifications of a round in the order in which they are sent, which has nothing to do with their times.
fn draw(random: &mut Rng, round: usize) -> Vec<Said> {
    const STATUSES: [&str; 5] = ["unknown", "running", "success", "cancelled", "failure"];
    let mut all = Vec::new();
    for run in 0..RUNS {
        for number in 0..NOTIFICATIONS {
            let started = random.u64(..3000);
            let mut arguments = json!({
                "pipeline_name": format!("pipeline-{}", run % 5), "pipeline_source": "tests", "reference_id": name(round, run),
                "started_at": time(started), "status": STATUSES[random.usize(..5)],
                "email": format!("{number:02}-{:04}@{run}.example", random.u64(..10_000)),
            });
            if random.u64(..2) == 0 {
                arguments["finished_at"] = time(started + random.u64(..600)).into();
            }
            all.push(Said {
                run,
                arguments,
                fate: Fate::Unsent,
            });
        }
    }
    random.shuffle(&mut all);
    all
}

fn time(seconds: u64) -> String {
    format!("2025-01-01T11:{:02}:{:02}Z", seconds / 60, seconds % 60)
}

/// Sends what was drawn over many connections, and kills the collector after so many acknowledgements.
fn load_and_kill(collector: &mut Collector, said: Vec<Said>, deadly: usize) -> Vec<Said> {
    let (next, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let said: Vec<Mutex<Said>> = said.into_iter().map(Mutex::new).collect();
    let address = collector.address;
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = Client::new(address);
                while let Some(said) = said.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut said = said.lock().unwrap();
                    said.fate = Fate::Unanswered;
                    // Without an answer the collector is dead.
                    let Ok(answer) = client.upsert(&said.arguments) else {
                        return;
                    };
                    assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
                    said.fate = Fate::Acknowledged;
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        eventually("so many acknowledgements", || {
            acknowledged.load(Ordering::Relaxed) >= deadly
        });
        assert_eq!(collector.kill().signal, Some(9));
    });
    said.into_iter().map(|said| said.into_inner().unwrap()).collect()
}

/// Compares the stored runs of a round with the acknowledged notifications. Returns the number of runs of which all notifications were acknowledged.
fn check(client: &mut Client, round: usize, said: &[Said]) -> usize {
    let mut certain = 0;
    for run in 0..RUNS {
        let of = |fate: Fate| -> Vec<&Value> {
            let found = said.iter().filter(|said| said.run == run && said.fate == fate);
            found.map(|said| &said.arguments).collect()
        };
        let (acknowledged, unanswered) = (of(Fate::Acknowledged), of(Fate::Unanswered));
        let answer = client.get(&format!("/api/runs/{}", name(round, run).replace('/', "%2F")));
        if answer.status == 404 {
            assert_eq!(
                acknowledged.len(),
                0,
                "{} was acknowledged and is lost",
                name(round, run)
            );
            continue;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kept = answer.json()["run"].clone();
        let received: Vec<&Value> = kept["received"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["notification"])
            .collect();
        // By their e-mail addresses, each of which was sent once.
        let mut lacking: BTreeMap<&str, &Value> = acknowledged
            .iter()
            .map(|one| (one["email"].as_str().unwrap(), *one))
            .collect();
        for one in &received {
            let sent = lacking.remove(one["email"].as_str().unwrap());
            let sent = sent.or_else(|| unanswered.iter().find(|sent| sent["email"] == one["email"]).copied());
            let sent = sent.unwrap_or_else(|| panic!("{one} is kept twice, or was never sent"));
            assert_eq!(*one, sent, "not as it came");
        }
        assert!(lacking.is_empty(), "acknowledged and lost: {lacking:#?}");
        if unanswered.is_empty() {
            assert_eq!(received.len(), acknowledged.len());
            assert_eq!(kept["record"], fold(acknowledged.iter().copied()));
            certain += 1;
        }
        // With what was sent and not answered, if it arrived.
        assert_eq!(kept["record"], fold(received.iter().copied()));
        assert_eq!(kept["notifications"], received.len());
    }
    certain
}

/// The names of all runs, read page by page.
fn list(client: &mut Client) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/runs?limit=200{after}")).json();
        let runs = page["runs"].as_array().unwrap();
        names.extend(
            runs.iter()
                .map(|run| run["record"]["reference_id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return names,
        }
    }
}

#[test]
fn a_collector_that_is_killed_keeps_what_it_acknowledged() {
    let rounds = number_from("PIPEFOLD_SERVE_ROUNDS").unwrap_or(15) as usize;
    let mut random = seeded(SEED);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut collector = Collector::start(&data);
    let (mut certain, mut unanswered, mut acknowledged) = (0, 0, Vec::new());
    for round in 0..rounds {
        let said = draw(&mut random, round);
        // Now and then hardly anything was done, and now and then nearly all.
        let deadly = random.usize(..said.len() * 9 / 10);
        let said = load_and_kill(&mut collector, said, deadly);
        collector = collector.again();
        certain += check(&mut collector.client(), round, &said);
        unanswered += said.iter().filter(|said| said.fate == Fate::Unanswered).count();
        acknowledged.extend(
            (0..RUNS)
                .filter(|run| {
                    let is = |said: &Said| said.run == *run && said.fate == Fate::Acknowledged;
                    said.iter().any(is)
                })
                .map(|run| name(round, run)),
        );
    }
    assert!(
        certain > rounds && unanswered > 0,
        "{certain} certain, {unanswered} unanswered: nothing was proved"
    );
    // No later death took anything from an earlier round.
    let mut names = list(&mut collector.client());
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a run is listed twice");
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|name| names.binary_search(name).is_err())
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    collector.stop();
}
