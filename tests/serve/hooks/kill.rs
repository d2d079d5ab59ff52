//! A collector that is killed under deliveries has each of which it answered 2xx, and has once what comes again.
//!
//! A few deaths; `make soak` has more, by `PIPEFOLD_SERVE_ROUNDS`.

use std::sync::atomic::{AtomicUsize, Ordering};

use pipefold_tests::{eventually, number_from, seeded};
use serde_json::json;

use super::place::{Delivery, Place, job, reference, run, stored};

/// Any number; another draws other moments.
const SEED: u64 = 20_250_118;

const CONNECTIONS: usize = 8;
const RUNS: u64 = 40;

fn deliveries(round: u64) -> Vec<(u64, Delivery)> {
    let ids = (0..RUNS).map(|number| round * 1000 + number);
    ids.flat_map(|id| {
        [
            (id, run(id, "requested", None)),
            (id, job(id, "build", Some("success"))),
            (id, run(id, "completed", Some("success"))),
        ]
    })
    .collect()
}

#[test]
fn a_collector_that_is_killed_keeps_what_it_answered_and_takes_the_rest_again() {
    let rounds = number_from("PIPEFOLD_SERVE_ROUNDS").unwrap_or(4);
    let mut random = seeded(SEED);
    let place = Place::new();
    let config = format!(
        "[[source]]\nname = \"github\"\nsecret_file = {:?}\nrate = 10000\n",
        place.path().join("secret").display().to_string()
    );
    let config = place.write("pipefold.toml", config.as_bytes());
    let mut collector = place.try_serve(&["--config".into(), config]).unwrap();
    for round in 1..=rounds {
        let all = deliveries(round);
        let deadly = random.usize(..all.len() * 9 / 10);
        let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let address = collector.address;
        let kept: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = pipefold_tests::http::Client::new(address);
                        let mut kept = Vec::new();
                        loop {
                            let place = next.fetch_add(1, Ordering::Relaxed);
                            let Some((_, delivery)) = all.get(place) else {
                                return kept;
                            };
                            // Without an answer the collector is dead.
                            let Ok(answer) = delivery.send(&mut client) else {
                                return kept;
                            };
                            assert_eq!(answer.status, 200, "{}", answer.text());
                            kept.push(place);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            eventually("so many answers", || answered.load(Ordering::Relaxed) >= deadly);
            assert_eq!(collector.kill().signal, Some(9));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        collector = collector.again();
        let kept: Vec<usize> = kept.concat();
        for place in &kept {
            let (id, delivery) = &all[*place];
            let stored =
                stored(&collector, *id).unwrap_or_else(|| panic!("{} was answered and is lost", reference(*id)));
            let jobs = stored["jobs"].as_array().unwrap().len();
            match place % 3 {
                1 => assert_eq!(jobs, 1, "{delivery:?}"),
                2 => assert_eq!(stored["record"]["status"], "success"),
                _ => {}
            }
        }
        // The CI system sends again what was not answered.
        let mut client = collector.client();
        for place in (0..all.len()).filter(|place| !kept.contains(place)) {
            assert_eq!(all[place].1.send(&mut client).unwrap().status, 200);
        }
        for id in (0..RUNS).map(|number| round * 1000 + number) {
            let stored = stored(&collector, id).unwrap();
            assert_eq!(
                (&stored["record"]["status"], &stored["record"]["started_at"]),
                (&json!("success"), &json!("2025-01-01T12:00:00Z"))
            );
            assert_eq!(stored["jobs"].as_array().unwrap().len(), 1);
        }
        let mut count = 0;
        let mut after = String::new();
        loop {
            let page = client.get(&format!("/api/runs?limit=200{after}")).json();
            count += page["runs"].as_array().unwrap().len();
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(count as u64, round * RUNS, "each run is there once");
    }
    collector.stop();
}
