//! The permissions that a forwarder needs, and no more: docs/fleet.md lists them.

use pipefold_tests::nats::{Connection, Options};
use pipefold_tests::{Mode, Times, eventually};
use serde_json::{Value, json};

use crate::place::{Fleet, REJECTED, STREAM};

/// The subjects that a forwarder may publish and subscribe to, as the guide lists them.
fn rights() -> Value {
    let guide = std::fs::read_to_string(pipefold_tests::workspace_root().join("docs/fleet.md")).unwrap();
    let row = guide.lines().find(|line| line.starts_with("| forwarder |")).unwrap();
    let column = |number| -> Vec<&str> {
        let text = row.split('|').nth(number).unwrap();
        text.split('`').skip(1).step_by(2).collect()
    };
    json!({ "publish": column(2), "subscribe": column(3) })
}

fn request(connection: &mut Connection, subject: &str, config: &Value) {
    let answer = connection.request(subject, &[], config.to_string().as_bytes()).unwrap();
    assert!(answer["error"].is_null(), "{subject}: {answer}");
}

#[test]
fn a_forwarder_with_the_rights_of_the_guide_forwards_refuses_and_sweeps() {
    let test = "a_forwarder_with_the_rights_of_the_guide_forwards_refuses_and_sweeps";
    let users = json!([
        { "user": "all", "password": "p" },
        { "user": "forwarder", "password": "p", "permissions": rights() },
    ]);
    let options = Options {
        configuration: format!("no_auth_user: forwarder\naccounts {{ A {{ jetstream: enabled, users: {users} }} }}"),
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    let node = fleet.cluster.url().trim_start_matches("nats://").parse().unwrap();
    let mut administrator = Connection::open(node, &json!({ "user": "all", "pass": "p" })).unwrap();
    let stream = |name: &str, subjects: &str, retention: &str| {
        json!({
            "name": name, "subjects": [subjects], "storage": "file", "retention": retention, "discard": "new",
            "duplicate_window": 120_000_000_000_u64,
        })
    };
    for (name, config) in [
        (STREAM, stream(STREAM, "pipefold.runs.*", "workqueue")),
        (REJECTED, stream(REJECTED, "pipefold.rejected.*", "limits")),
    ] {
        request(&mut administrator, &format!("$JS.API.STREAM.CREATE.{name}"), &config);
    }

    let make = format!("$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.forwarders");
    let mut consumer = json!({ "stream_name": STREAM, "config": {
        "durable_name": "forwarders", "deliver_policy": "all", "ack_policy": "explicit", "ack_wait": 30_000_000_000_u64,
        "max_ack_pending": 100_000, "max_waiting": 1,
    }});
    request(&mut administrator, &make, &consumer);
    let forwarder = fleet.forward(&[]);
    let put = |administrator: &mut Connection, run: &str| {
        let upsert = json!({
            "pipeline_name": "p", "pipeline_source": "tests", "reference_id": run, "status": "success",
            "started_at": "2025-01-01T12:05:00Z",
        });
        let subject = format!("pipefold.runs.{run}");
        request(administrator, &subject, &upsert);
    };
    let refused = Mode::NotOk {
        code: "invalid_timestamp".to_owned(),
        status: 400,
    };
    fleet.ci.dx.misbehave_for("refused", refused, Times::Always);
    put(&mut administrator, "refused");
    put(&mut administrator, "well");
    eventually("one is told, and one is refused", || {
        fleet.ci.dx.records().contains_key("well") && fleet.refused() == 1
    });

    // What an edited consumer gave up is swept.
    consumer["config"]["max_deliver"] = 1.into();
    request(&mut administrator, &make, &consumer);
    fleet
        .ci
        .dx
        .misbehave_for("given-up", Mode::InternalError, Times::Next(1));
    put(&mut administrator, "given-up");
    let told = std::time::Duration::from_secs(90);
    let swept = fleet.ci.dx.wait_until(told, |dx| dx.records().contains_key("given-up"));
    assert!(
        swept,
        "{}\n{:?}",
        forwarder.log(),
        fleet
            .cluster
            .monitor(0, "/jsz?accounts=true&streams=true&consumers=true")
    );
    fleet.wait_until_empty();
    let log = forwarder.stop();
    assert!(!log.contains("Permissions"), "{log}");
}
