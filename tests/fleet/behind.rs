//! A run is one request when DX takes less than there is, wherever in the stream and with whichever forwarder its upserts are.

use std::time::Duration;

use pipefold_tests::nats::Connection;
use pipefold_tests::{Mode, Times, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::backlog::count;
use crate::place::{Fleet, STREAM};

/// A number of runs that takes many seconds to send.
const RUNS: usize = 400;

fn put(connection: &mut Connection, run: usize, upsert: Value) {
    let (mut all, id) = (upsert, format!("run-{run}"));
    all["pipeline_name"] = "p".into();
    all["pipeline_source"] = "tests".into();
    all["reference_id"] = id.clone().into();
    let subject = format!("pipefold.runs.{}", pipefold::spool::RunKey::of(&id));
    let answer = connection.request(&subject, &[], all.to_string().as_bytes()).unwrap();
    assert_eq!(answer["stream"], STREAM, "{answer}");
}

/// Both forwarders, each with upserts that the other does not know.
fn publish(fleet: &Fleet, ends: bool) {
    let mut connection = fleet.cluster.connect(0).unwrap();
    for run in 0..RUNS {
        let upsert = match ends {
            false => {
                json!({ "started_at": "2025-01-01T12:05:00Z", "status": "running", "head_branch": format!("branch-{run}") })
            }
            true => json!({
                "started_at": "2025-01-01T12:06:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "failure",
                "email": format!("{run}@example.com"),
            }),
        };
        put(&mut connection, run, upsert);
    }
}

#[test]
fn a_run_is_one_request_wherever_its_upserts_are() {
    let Some(fleet) = Fleet::start("a_run_is_one_request_wherever_its_upserts_are") else {
        return;
    };
    publish(&fleet, false);
    let dx = &fleet.ci.dx;
    let refused = Mode::NotOk {
        code: "invalid_timestamp".to_owned(),
        status: 400,
    };
    dx.misbehave_for("run-7", refused, Times::Always);
    let first = fleet.forward(&["--rate", "20"]);
    eventually("one has the starts", || {
        fleet
            .cluster
            .stream(STREAM)
            .is_some_and(|stream| stream.in_flight as usize > RUNS - 50)
    });
    // It does not run while the other has the ends: it would have sent the starts meanwhile.
    first.signal(Signal::STOP);
    publish(&fleet, true);
    let second = fleet.forward(&["--rate", "50"]);
    let gathered = |forwarder| count(forwarder, "pipefold_queue_messages_total{result=\"gathered\"}");
    eventually("the other has told of the starts as well", || {
        gathered(&second) > RUNS / 3
    });
    first.signal(Signal::CONT);
    let told = dx.wait_until(Duration::from_secs(90), |dx| dx.records().len() == RUNS - 1);
    assert!(
        told,
        "{} of {RUNS} are told, in {} requests",
        dx.records().len(),
        dx.requests().len()
    );
    fleet.wait_until_empty();
    for (id, record) in dx.records() {
        let run = id.trim_start_matches("run-");
        assert_eq!(
            (record.status.as_str(), record.started_at.as_str()),
            ("failure", "2025-01-01T12:05:00Z")
        );
        assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"), "{id}");
        let (branch, email) = (format!("branch-{run}"), format!("{run}@example.com"));
        let record = record.to_json();
        assert_eq!(
            (&record["head_branch"], &record["email"]),
            (&branch.into(), &email.into()),
            "{id}"
        );
    }
    // Runs that the first had sent before, and the last second's, are requests of their own.
    let told = dx.requests().len();
    assert!(told < RUNS + RUNS / 3, "{told} requests for {RUNS} runs");
    // What was refused together is refused one by one, and each is kept.
    assert_eq!(fleet.refused(), 2);
    first.stop();
    second.stop();
}
