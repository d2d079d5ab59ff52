//! `pipefold queue init` and `queue check`, and where the queue's address may come from.

use pipefold_tests::nats::Options;
use pipefold_tests::{RUN, SpoolContent};
use serde_json::json;

use crate::place::{Fleet, REJECTED, STREAM};

#[test]
fn init_makes_the_streams_once_and_tells_what_is_different() {
    let test = "init_makes_the_streams_once_and_tells_what_is_different";
    let Some(fleet) = Fleet::bare(test, &Options::default()) else {
        return;
    };
    let check = fleet.pipefold(["queue", "check"]).run();
    assert_ne!(check.code, Some(0), "there is none yet: {check}");
    assert!(check.stderr().contains("pipefold queue init"), "{check}");

    let first = fleet.init(&[]);
    assert!(first.stdout().contains(STREAM), "{first}");
    let second = fleet.init(&[]);
    assert_ne!(first.stdout(), second.stdout(), "the second made nothing");
    fleet.pipefold(["queue", "check"]).run().assert_code(0);
    let stream = |name: &str| fleet.cluster.stream(name).map(|stream| stream.messages);
    assert_eq!((stream(STREAM), stream(REJECTED)), (Some(0), Some(0)));

    // Someone made another stream of it: one that forgets, and drops the oldest when it is full.
    let mut connection = fleet.cluster.connect(0).unwrap();
    let mut config = json!({
        "name": STREAM, "subjects": ["pipefold.runs.*"], "storage": "file", "num_replicas": 1, "retention": "workqueue",
        "discard": "old", "max_bytes": 1 << 20, "max_age": 3_600_000_000_000_u64, "duplicate_window": 10_000_000_000_u64,
    });
    for (api, body) in [("DELETE", json!({})), ("CREATE", config.clone())] {
        let answer = connection
            .request(
                &format!("$JS.API.STREAM.{api}.{STREAM}"),
                &[],
                body.to_string().as_bytes(),
            )
            .unwrap();
        assert!(answer["error"].is_null(), "{api}: {answer}");
    }
    for command in [["queue", "init"], ["queue", "check"]] {
        let output = fleet.pipefold(command).run();
        let told = output.stdout() + &output.stderr();
        for setting in ["discard", "max_age", "duplicate_window"] {
            assert!(
                told.contains(setting),
                "{command:?} does not tell of {setting}: {output}"
            );
        }
    }
    assert_ne!(
        fleet.pipefold(["queue", "check"]).run().code,
        Some(0),
        "what may lose runs is no success"
    );
    // It was looked at and left alone.
    config["num_replicas"] = json!(1);
    let answer = connection
        .request(&format!("$JS.API.STREAM.INFO.{STREAM}"), &[], b"")
        .unwrap();
    assert_eq!(answer["config"]["discard"], "old", "{answer}");
}

#[test]
fn the_address_comes_from_a_flag_a_variable_or_the_operators_file_and_never_from_the_workspace() {
    let test = "the_address_comes_from_a_flag_a_variable_or_the_operators_file_and_never_from_the_workspace";
    let Some(fleet) = Fleet::start(test) else { return };
    let url = fleet.cluster.url();
    let plain = |arguments: &str| {
        let command = fleet.ci.report_run(RUN, arguments.split(' '));
        command.env_remove("DX_API_URL").env_remove("DX_API_TOKEN")
    };
    plain(&format!("start --queue {url} --email flag@example.com"))
        .run()
        .assert_code(0);
    assert_eq!(fleet.waiting(), 1);
    plain("start --email variable@example.com")
        .env("PIPEFOLD_QUEUE", &url)
        .run()
        .assert_code(0);
    assert_eq!(fleet.waiting(), 2);
    let settings = format!("[queue]\nurl = \"{url}\"\n");
    fleet.ci.operator(&settings);
    plain("start --email file@example.com").run().assert_code(0);
    assert_eq!(fleet.waiting(), 3);

    // A pull request may have written this one.
    fleet.ci.operator("");
    std::fs::write(fleet.ci.workspace().join("pipefold.toml"), settings).unwrap();
    let output = plain("start --email workspace@example.com").run();
    output.assert_code(0);
    assert!(output.stderr().contains("queue"), "{output}");
    assert_eq!(fleet.waiting(), 3, "it decided where runs go");
    assert_ne!(
        plain("start --strict --email workspace@example.com").run().code,
        Some(0)
    );
    assert_eq!(fleet.waiting(), 3);
}

#[test]
fn an_address_that_would_leak_is_refused_before_anything_is_sent() {
    let test = "an_address_that_would_leak_is_refused_before_anything_is_sent";
    let Some(fleet) = Fleet::start(test) else { return };
    for address in [
        "nats://nats.example.com:4222",
        "nats://user:sesame@127.0.0.1:4222",
        "tls://sesame@127.0.0.1:4222",
        "http://127.0.0.1:4222",
        "nats://127.0.0.1:1,nats://nats.example.com:4222",
    ] {
        let output = fleet.report(RUN, "start").env("PIPEFOLD_QUEUE", address).run();
        output.assert_code(0);
        let told = output.stderr();
        assert!(told.contains("queue"), "{address}: {output}");
        assert!(!told.contains("sesame"), "{address}: {output}");
        assert_ne!(
            fleet
                .report(RUN, "start --strict")
                .env("PIPEFOLD_QUEUE", address)
                .run()
                .code,
            Some(0)
        );
    }
    for (path, content) in pipefold_tests::Ci::files(&fleet.ci.spool()) {
        assert!(
            !String::from_utf8_lossy(&content).contains("sesame"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn what_waits_for_dx_does_not_go_into_a_queue_and_the_other_way_round() {
    let test = "what_waits_for_dx_does_not_go_into_a_queue_and_the_other_way_round";
    let Some(fleet) = Fleet::start(test) else { return };
    fleet.ci.budgets(300, 300, 300);
    fleet.ci.dx.set_mode(pipefold_tests::Mode::RefuseConnections);
    fleet
        .ci
        .report_run("for-dx", ["finish", "--status", "success"])
        .run()
        .assert_code(0);
    let elsewhere = fleet.report("for-another-queue", "finish --status success");
    elsewhere
        .env("PIPEFOLD_QUEUE", "nats://127.0.0.1:1")
        .run()
        .assert_code(0);
    fleet
        .report("for-the-queue", "finish --status success")
        .run()
        .assert_code(0);
    let names: Vec<_> = fleet
        .messages()
        .iter()
        .map(|message| message.json()["reference_id"].clone())
        .collect();
    assert_eq!(names, ["for-the-queue"]);
    assert_eq!(SpoolContent::read(&fleet.ci.spool()).waiting().count(), 2);
    fleet.ci.dx.set_mode(pipefold_tests::Mode::Normal);
    fleet.ci.pipefold(["flush", "--timeout", "10s"]).run().assert_code(0);
    assert_eq!(fleet.ci.dx.records().into_keys().collect::<Vec<_>>(), ["for-dx"]);
}
