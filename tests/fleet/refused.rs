//! Messages that DX or the rules refuse for good are kept aside with the reason, and harm no others.

use pipefold_tests::nats::Options;
use pipefold_tests::{Mode, RetryAfter, Times, eventually};
use serde_json::{Value, json};

use crate::place::Fleet;

const SUBJECT: &str = "pipefold.runs.00000000000000000000000000000000";

fn upsert(reference_id: &str) -> Value {
    json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00Z",
        "status": "success",
    })
}

fn invalid() -> Mode {
    Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 400,
    }
}

fn list(fleet: &Fleet) -> String {
    let output = fleet.pipefold(["forward", "rejected", "list"]).run();
    output.assert_code(0);
    output.stdout()
}

#[test]
fn a_refusal_is_kept_with_dxs_words_and_can_be_retried_or_dropped() {
    let Some(fleet) = Fleet::start("a_refusal_is_kept_with_dxs_words_and_can_be_retried_or_dropped") else {
        return;
    };
    let (dx, forwarder) = (&fleet.ci.dx, fleet.forward(&[]));
    for name in ["refused-1", "refused-2"] {
        dx.misbehave_for(name, invalid(), Times::Always);
    }
    for name in ["refused-1", "well-1", "refused-2", "well-2"] {
        fleet.report(name, "finish --status success").run().assert_code(0);
    }
    eventually("two are refused", || fleet.refused() == 2);
    fleet.wait_until_empty();
    assert_eq!(dx.records().into_keys().collect::<Vec<_>>(), ["well-1", "well-2"]);
    let listed = list(&fleet);
    for told in ["refused-1", "refused-2", "invalid_timestamp"] {
        assert!(listed.contains(told), "{told} is missing: {listed}");
    }
    let tries = dx.requests().len();
    fleet.a_moment();
    assert_eq!(
        dx.requests().len(),
        tries,
        "what is refused for good is not tried again"
    );

    // At once, well within the time in which the same upsert counts as the same message.
    dx.set_mode(Mode::Normal);
    fleet
        .pipefold(["forward", "rejected", "retry", "--all"])
        .run()
        .assert_code(0);
    eventually("DX has them now", || dx.records().len() == 4);
    fleet.wait_until_empty();
    assert_eq!(fleet.refused(), 0, "{}", list(&fleet));

    dx.misbehave_for("refused-3", invalid(), Times::Always);
    fleet
        .report("refused-3", "finish --status success")
        .run()
        .assert_code(0);
    eventually("one is refused", || fleet.refused() == 1);
    fleet
        .pipefold(["forward", "rejected", "drop", "--all"])
        .run()
        .assert_code(0);
    assert_eq!(fleet.refused(), 0);
    fleet.a_moment();
    assert!(!dx.records().contains_key("refused-3"));
    forwarder.stop();
}

#[test]
fn an_upsert_that_dx_refuses_takes_no_good_one_of_its_run_along() {
    let Some(fleet) = Fleet::start("an_upsert_that_dx_refuses_takes_no_good_one_of_its_run_along") else {
        return;
    };
    let dx = &fleet.ci.dx;
    // All of them together, then the first of them by itself.
    dx.misbehave_for("mixed", invalid(), Times::Next(2));
    for status in ["running", "success", "failure"] {
        let mut part = upsert("mixed");
        part["status"] = status.into();
        fleet.publish(SUBJECT, part.to_string().as_bytes());
    }
    let forwarder = fleet.forward(&[]);
    eventually("the first is refused", || fleet.refused() == 1);
    fleet.wait_until_empty();
    assert_eq!(dx.records()["mixed"].status, "failure");
    assert_eq!(fleet.refused(), 1, "{}", list(&fleet));
    forwarder.stop();
}

#[test]
fn foreign_messages_harm_no_other_run() {
    let Some(fleet) = Fleet::start("foreign_messages_harm_no_other_run") else {
        return;
    };
    let dx = &fleet.ci.dx;
    let mut wrong_time = upsert("well-1");
    wrong_time["started_at"] = "yesterday".into();
    let mut nameless = upsert("");
    nameless["status"] = json!(7);
    let mut hostile = upsert("::error::nasty ##vso[a]\u{202e}\u{200b}\u{e0041}");
    hostile["started_at"] = "##[b]\u{1b}[2J\n::error::c".into();
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let strange: [&[u8]; 8] = [
        b"",
        b"no JSON",
        b"\xff\xfe\x00",
        b"[1, 2]",
        deep.as_bytes(),
        &wrong_time.to_string().into_bytes(),
        &nameless.to_string().into_bytes(),
        &hostile.to_string().into_bytes(),
    ];
    for payload in strange {
        fleet.publish(SUBJECT, payload);
    }
    // One run's upserts, one of them a stranger's with a wrong time, and one with a field that the sender made up.
    let mut own = upsert("well-1");
    own["field_of_tomorrow"] = "x".into();
    fleet.publish(SUBJECT, own.to_string().as_bytes());
    fleet.publish(SUBJECT, upsert("well-2").to_string().as_bytes());
    let forwarder = fleet.forward(&[]);
    eventually("DX knows of the others", || dx.records().len() == 2);
    fleet.wait_until_empty();
    assert_eq!(dx.records().into_keys().collect::<Vec<_>>(), ["well-1", "well-2"]);
    assert_eq!(fleet.refused(), strange.len() as u64, "{}", list(&fleet));
    let listed = list(&fleet);
    assert!(listed.contains("started_at"), "{listed}");
    let json = fleet.pipefold(["forward", "rejected", "list", "--json"]).run().stdout();
    for shown in [&listed, &json] {
        assert!(shown.contains("nasty") && !shown.contains("##"), "{shown}");
        let hidden = ['\u{0}', '\u{1b}', '\u{200b}', '\u{202e}', '\u{e0041}'];
        assert!(!shown.contains(hidden), "{shown:?}");
    }
    forwarder.stop();
}

#[test]
fn what_is_too_large_to_be_kept_as_it_is_is_kept_in_part() {
    let Some(fleet) = Fleet::start("what_is_too_large_to_be_kept_as_it_is_is_kept_in_part") else {
        return;
    };
    // Nearly as large as a message may be, and larger in JSON.
    let mut long = upsert("long");
    long["source_url"] = "x".repeat(1_000_000).into();
    let large = [
        vec![0xff; 1_040_000],
        vec![b'"'; 700_000],
        long.to_string().into_bytes(),
        format!("\"{}\"", "\\u0001".repeat(170_000)).into_bytes(),
    ];
    for payload in &large {
        fleet.publish(SUBJECT, payload);
    }
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(fleet.refused(), large.len() as u64, "{}", forwarder.log());
    let listed = list(&fleet);
    assert_eq!(listed.matches("524288 are read").count(), large.len(), "{listed}");
    let json = fleet.pipefold(["forward", "rejected", "list", "--json"]).run().json();
    for kept in json["rejected"].as_array().unwrap() {
        assert!(kept.to_string().len() < 100_000, "{}", kept.to_string().len());
        assert!(
            kept["message"].as_str().unwrap().contains("of which"),
            "{}",
            kept["message"]
        );
    }
    forwarder.stop();
}

#[test]
fn a_message_larger_than_a_whole_request_delays_no_other() {
    let test = "a_message_larger_than_a_whole_request_delays_no_other";
    let options = Options {
        configuration: "max_payload: 8MB".to_owned(),
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    fleet.init(&[]);
    let mut connection = fleet.cluster.connect(0).unwrap();
    let large = vec![b'x'; 6 << 20];
    let refused = connection.request(SUBJECT, &[], &large).unwrap();
    assert!(
        refused["error"].is_object(),
        "`queue init` allows no such message: {refused}"
    );
    // A stream that somebody else made.
    let config = json!({
        "name": "PIPEFOLD", "subjects": ["pipefold.runs.*"], "storage": "file", "retention": "workqueue", "discard": "new",
        "duplicate_window": 120_000_000_000_u64,
    });
    let update = "$JS.API.STREAM.UPDATE.PIPEFOLD";
    let answer = connection.request(update, &[], config.to_string().as_bytes()).unwrap();
    assert!(answer["error"].is_null(), "{answer}");
    for payload in [&large, upsert("well").to_string().as_bytes()] {
        let answer = connection.request(SUBJECT, &[], payload).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
    }
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(fleet.ci.dx.records().into_keys().collect::<Vec<_>>(), ["well"]);
    assert_eq!(fleet.refused(), 1, "{}", forwarder.log());
    forwarder.stop();
}

#[test]
fn while_no_more_refused_ones_can_be_kept_they_stay_in_the_queue() {
    let Some(fleet) = Fleet::start("while_no_more_refused_ones_can_be_kept_they_stay_in_the_queue") else {
        return;
    };
    let mut connection = fleet.cluster.connect(0).unwrap();
    let config = json!({
        "name": "PIPEFOLD_REJECTED", "subjects": ["pipefold.rejected.*"], "storage": "file", "max_msgs": 1, "discard": "new",
        "duplicate_window": 120_000_000_000_u64,
    });
    let subject = "$JS.API.STREAM.UPDATE.PIPEFOLD_REJECTED";
    let answer = connection.request(subject, &[], config.to_string().as_bytes()).unwrap();
    assert!(answer["error"].is_null(), "{answer}");
    let dx = &fleet.ci.dx;
    dx.set_mode(invalid());
    for number in 0..3 {
        fleet.publish(SUBJECT, upsert(&format!("run-{number}")).to_string().as_bytes());
    }
    let forwarder = fleet.forward(&[]);
    eventually("one is kept", || fleet.refused() == 1);
    eventually("it says that it cannot keep more", || {
        forwarder.log().contains("the stream of refused runs is full")
    });
    fleet.a_moment();
    assert_eq!((fleet.waiting(), fleet.refused()), (2, 1), "{}", forwarder.log());
    forwarder.stop();
}

#[test]
fn dx_gets_no_request_in_its_retry_after_and_then_everything() {
    let Some(fleet) = Fleet::start("dx_gets_no_request_in_its_retry_after_and_then_everything") else {
        return;
    };
    let dx = &fleet.ci.dx;
    let retry_after = RetryAfter::Seconds(2);
    dx.misbehave(Mode::TooManyRequests { retry_after }, Times::Next(1));
    for number in 0..5 {
        fleet.publish(SUBJECT, upsert(&format!("run-{number}")).to_string().as_bytes());
    }
    let forwarder = fleet.forward(&["--rate", "1"]);
    eventually("DX knows of all", || dx.records().len() == 5);
    fleet.wait_until_empty();
    let requests = dx.requests();
    let pause = requests[1].at - requests[0].at;
    assert!(pause.as_millis() >= 1900, "after {pause:?}");
    assert_eq!(requests.len(), 6);
    forwarder.stop();
}

#[test]
fn a_refused_token_is_reported_once_and_loses_nothing() {
    let Some(fleet) = Fleet::start("a_refused_token_is_reported_once_and_loses_nothing") else {
        return;
    };
    let dx = &fleet.ci.dx;
    dx.set_tokens(&["another-0123456789"]);
    let forwarder = fleet.forward(&[]);
    for number in 0..20 {
        fleet.publish(SUBJECT, upsert(&format!("run-{number:02}")).to_string().as_bytes());
    }
    eventually("it tried", || !dx.requests().is_empty());
    fleet.a_moment();
    assert_eq!(
        (fleet.waiting(), fleet.refused()),
        (20, 0),
        "it is no fault of the runs'"
    );
    let told = forwarder.log().matches("invalid_auth").count();
    assert_eq!(told, 1, "{}", forwarder.log());
    assert!(
        dx.requests().len() <= 6,
        "all runs have the same token: {}",
        dx.requests().len()
    );
    let metric = |name: &str| {
        let metrics = forwarder.get("/metrics").text();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {metrics}")).to_owned()
    };
    assert_eq!(metric("pipefold_dx_up"), "0");
    let health = forwarder.get("/healthz");
    assert_eq!(health.status, 503, "a person has to do something: {}", health.text());

    std::fs::write(forwarder.token_file(), "another-0123456789").unwrap();
    // Half a minute, as a rule: a person had to do something.
    let long = std::time::Duration::from_secs(90);
    assert!(
        dx.wait_until(long, |dx| dx.records().len() == 20),
        "{}",
        forwarder.log()
    );
    fleet.wait_until_empty();
    eventually("it is well again", || forwarder.get("/healthz").status == 200);
    assert_eq!(metric("pipefold_dx_up"), "1");
    forwarder.stop();
}
