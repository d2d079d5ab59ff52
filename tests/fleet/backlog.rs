//! The messages in the stream when a forwarder begins, and those that it holds when it ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pipefold_tests::nats::Connection;
use pipefold_tests::{Mode, Standin, eventually, until};
use rustix::process::Signal;
use serde_json::json;

use crate::forwarder::Forwarder;
use crate::place::{Fleet, STREAM};

/// As many requests for messages as show one whose end overtakes what was sent before it.
const MANY: usize = 5_000;

/// Puts the ends of this number of runs into the stream.
pub fn publish(fleet: &Fleet, runs: usize) {
    let mut connection = fleet.cluster.connect(0).unwrap();
    for run in 0..runs {
        put(&mut connection, run);
    }
}

fn put(connection: &mut Connection, run: usize) {
    let upsert = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": format!("run-{run}"), "status": "success",
        "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z",
    });
    let subject = format!("pipefold.runs.{run}");
    let answer = connection
        .request(&subject, &[], upsert.to_string().as_bytes())
        .unwrap();
    assert_eq!(answer["stream"], STREAM, "{answer}");
}

pub fn count(forwarder: &Forwarder, of: &str) -> usize {
    let metrics = forwarder.get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(of));
    let number = line.unwrap_or_else(|| panic!("no {of}: {metrics}"));
    number.trim().parse().unwrap()
}

#[test]
fn a_backlog_is_delivered_once_and_at_the_rate_that_dx_takes() {
    // Where a stream has copies, a leader's word takes another way than the messages before it.
    let Some(fleet) = Fleet::of_three("a_backlog_is_delivered_once_and_at_the_rate_that_dx_takes") else {
        return;
    };
    publish(&fleet, MANY);
    let forwarder = fleet.forward(&["--rate", "10000"]);
    fleet.wait_until_empty();
    assert_eq!(fleet.ci.dx.records().len(), MANY);
    let delivered = |result: &str| {
        count(
            &forwarder,
            &format!("pipefold_queue_messages_total{{result=\"{result}\"}}"),
        )
    };
    assert_eq!(delivered("redelivered"), 0, "{}", forwarder.log());
    assert_eq!(delivered("delivered"), MANY);
    let log = forwarder.stop();
    assert!(!log.contains("WARN"), "nothing was wrong: {log}");
}

#[test]
fn a_forwarder_that_is_stopped_gives_back_at_once_what_it_holds() {
    let Some(fleet) = Fleet::start("a_forwarder_that_is_stopped_gives_back_at_once_what_it_holds") else {
        return;
    };
    // It gathers more for its messages for longer than this test takes.
    let forwarder = Forwarder::start(&fleet.cluster.url(), &fleet.ci.dx, &["--window", "10m"]);
    publish(&fleet, 500);
    let in_flight = || fleet.cluster.stream(STREAM).map_or(0, |stream| stream.in_flight);
    eventually("it has the first half", || in_flight() == 500);
    // The second half is in its socket, unread, when SIGTERM comes.
    forwarder.signal(Signal::STOP);
    let mut connection = fleet.cluster.connect(0).unwrap();
    (500..1000).for_each(|run| put(&mut connection, run));
    // The queue may hold it back instead: the test goes on either way.
    until(Duration::from_secs(2), || (in_flight() == 1000).then_some(()));
    let log = forwarder.stop();
    // Before the 30 s are over after which the queue gives them out by itself. One request at a time is allowed, so another may be refused.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut connection = fleet.cluster.connect(0).unwrap();
    let mut next = || {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.forwarders");
        let answer = connection
            .request(&subject, &[], br#"{"batch":1,"expires":1000000000}"#)
            .ok()?;
        Some(answer["reference_id"].as_str()?.to_owned())
    };
    let mut given = BTreeSet::new();
    while given.len() < 1000 && Instant::now() < deadline {
        given.extend(next());
    }
    assert_eq!(given.len(), 1000, "the queue waits for a word of the others: {log}");
}

#[test]
fn what_is_held_for_longer_than_the_queue_waits_is_not_given_to_another() {
    let Some(fleet) = Fleet::start("what_is_held_for_longer_than_the_queue_waits_is_not_given_to_another") else {
        return;
    };
    publish(&fleet, 10);
    // Longer than the half minute after which the queue takes a forwarder for dead.
    let start = || Forwarder::start(&fleet.cluster.url(), &fleet.ci.dx, &["--window", "40s"]);
    let forwarders = [start(), start()];
    let arrived = |dx: &Standin| dx.records().len() == 10;
    assert!(fleet.ci.dx.wait_until(Duration::from_secs(120), arrived));
    fleet.wait_until_empty();
    assert_eq!(fleet.ci.dx.requests().len(), 10);
    for forwarder in forwarders {
        assert_eq!(
            count(&forwarder, "pipefold_queue_messages_total{result=\"redelivered\"}"),
            0
        );
        forwarder.stop();
    }
}

#[test]
fn messages_that_the_queue_gave_up_are_found_and_reported() {
    let Some(fleet) = Fleet::start("messages_that_the_queue_gave_up_are_found_and_reported") else {
        return;
    };
    let forwarder = fleet.forward(&[]);
    // Somebody edits the consumer: what fails once is not delivered again, counts as done, and takes room for ever.
    let mut connection = fleet.cluster.connect(0).unwrap();
    let config = json!({ "stream_name": STREAM, "config": {
        "durable_name": "forwarders", "deliver_policy": "all", "ack_policy": "explicit", "ack_wait": 30_000_000_000_u64,
        "max_ack_pending": 100_000, "max_waiting": 1, "max_deliver": 1,
    }});
    let subject = "$JS.API.CONSUMER.DURABLE.CREATE.PIPEFOLD.forwarders";
    let made = connection.request(subject, &[], config.to_string().as_bytes()).unwrap();
    assert!(made["error"].is_null(), "{made}");
    fleet.ci.dx.set_mode(Mode::InternalError);
    publish(&fleet, 10);
    eventually("each was tried", || fleet.ci.dx.requests().len() >= 3);
    fleet.ci.dx.set_mode(Mode::Normal);
    let swept = || count(&forwarder, "pipefold_queue_messages_total{result=\"swept\"}");
    // Two looks.
    assert!(
        fleet
            .ci
            .dx
            .wait_until(Duration::from_secs(90), |dx| dx.records().len() == 10),
        "{} swept, {:?}\n{}",
        swept(),
        fleet
            .cluster
            .monitor(0, "/jsz?accounts=true&streams=true&consumers=true"),
        forwarder.log()
    );
    fleet.wait_until_empty();
    assert!(swept() > 0);
    forwarder.stop();
}
