//! `pipefold queue init` and `queue check`, and where the queue's address may come from.

use std::time::Duration;

use pipefold_tests::nats::Options;
use pipefold_tests::{RUN, SpoolContent};
use serde_json::json;

use crate::place::{Fleet, REJECTED, STREAM};

#[test]
fn init_makes_the_streams_once_and_reports_differences() {
    let test = "init_makes_the_streams_once_and_reports_differences";
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

    let mut connection = fleet.cluster.connect(0).unwrap();
    let mut config = |name: &str| {
        let answer = connection
            .request(&format!("$JS.API.STREAM.INFO.{name}"), &[], b"")
            .unwrap();
        answer["config"].clone()
    };
    // Longer than a runner tries in one go; and refused ones have an end too.
    let minute = 60_000_000_000;
    assert!(config(STREAM)["duplicate_window"].as_u64().unwrap() >= minute);
    let refused = config(REJECTED);
    assert!(
        refused["max_msgs"].as_u64().is_some_and(|most| most > 10_000),
        "{refused}"
    );
    assert_eq!(
        (&refused["discard"], &config(STREAM)["discard"]),
        (&json!("new"), &json!("new"))
    );

    // Someone made another stream of it: one that forgets, and drops the oldest when it is full.
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
fn half_a_setup_is_reported_and_completed() {
    let Some(fleet) = Fleet::start("half_a_setup_is_reported_and_completed") else {
        return;
    };
    fleet.report(RUN, "start").run().assert_code(0);
    let mut connection = fleet.cluster.connect(0).unwrap();
    let mut remove = |what: &str| {
        let answer = connection.request(&format!("$JS.API.{what}"), &[], b"").unwrap();
        assert_eq!(answer["success"], true, "{what}: {answer}");
    };
    let consumer = format!("CONSUMER.DELETE.{STREAM}.forwarders");
    remove(&consumer);
    let check = fleet.pipefold(["queue", "check"]).run();
    check.assert_code(1);
    assert!(check.stderr().contains("forwarders: it is missing"), "{check}");
    for told in [&format!("{STREAM}: 1 messages"), REJECTED, "waiting: 1"] {
        assert!(check.stdout().contains(told), "{told}: {check}");
    }
    let init = fleet.init(&[]);
    assert_eq!(init.stdout(), "made forwarders\n");
    fleet.pipefold(["queue", "check"]).run().assert_code(0);

    // A running forwarder makes it again: no message in the stream is lost by that.
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    remove(&consumer);
    fleet.report(RUN, "finish --status success").run().assert_code(0);
    fleet.wait_until_empty();
    let check = fleet.pipefold(["queue", "check"]).run();
    check.assert_code(0);
    assert_eq!(check.stderr(), "", "as `queue init` makes it");
    assert_eq!(fleet.ci.record().status, "success");
    forwarder.stop();

    remove(&format!("STREAM.DELETE.{REJECTED}"));
    let check = fleet.pipefold(["queue", "check"]).run();
    check.assert_code(1);
    assert!(
        check.stderr().contains(&format!("{REJECTED}: it is missing")),
        "{check}"
    );
    assert!(check.stdout().contains(&format!("{STREAM}: 0 messages")), "{check}");
    assert_eq!(fleet.init(&[]).stdout(), format!("made {REJECTED}\n"));
}

#[test]
fn init_waits_for_a_starting_cluster_and_not_for_ever() {
    let test = "init_waits_for_a_starting_cluster_and_not_for_ever";
    let options = Options {
        nodes: 3,
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    let init = |arguments: &[&str]| fleet.pipefold([&["queue", "init"], arguments].concat()).run();
    // All of them start again, and none leads yet.
    for node in 0..3 {
        fleet.cluster.kill(node);
    }
    for node in 0..3 {
        fleet.cluster.restart(node);
    }
    let made = init(&["--replicas", "3"]);
    made.assert_code(0);

    // No room for as much: that stays so.
    let mut connection = fleet.cluster.connect(0).unwrap();
    let answer = connection.request(&format!("$JS.API.STREAM.DELETE.{STREAM}"), &[], b"");
    assert!(answer.unwrap()["success"] == true);
    let never = init(&["--replicas", "3", "--max-size", "100000 GiB"]);
    never.assert_code(1);
    assert!(
        never.stderr().contains("--max-size") && !never.stderr().contains("trying on"),
        "{never}"
    );
    // More servers may come, but no command waits for them for ever.
    let too_many = init(&["--replicas", "5"]);
    too_many.assert_code(1);
    assert!(
        too_many.stderr().contains("trying on") && too_many.stderr().contains("fewer --replicas"),
        "{too_many}"
    );
    too_many.assert_within(Duration::from_secs(40));
}

#[test]
fn servers_without_jetstream_differ_from_those_that_deny_it() {
    let test = "servers_without_jetstream_differ_from_those_that_deny_it";
    let user = "no_auth_user: u\naccounts { A { jetstream: enabled, users: [ { user: u, password: p";
    let settings = [
        (
            "without",
            "no_auth_user: u\naccounts { A { users: [ { user: u, password: p } ] } }".to_owned(),
        ),
        (
            "forbidden",
            format!("{user}, permissions: {{ publish: [\"pipefold.>\"], subscribe: [\"_INBOX.>\"] }} }} ] }} }}"),
        ),
    ];
    for (what, configuration) in settings {
        let options = Options {
            configuration,
            ..Options::default()
        };
        let Some(fleet) = Fleet::bare(test, &options) else {
            return;
        };
        let check = fleet.pipefold(["queue", "check"]).run();
        check.assert_code(1);
        let told = if what == "without" { "`jetstream`" } else { "$JS.API.>" };
        assert!(check.stderr().contains(told), "{check}");
    }
}

#[test]
fn the_address_never_comes_from_the_workspace() {
    let test = "the_address_never_comes_from_the_workspace";
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
