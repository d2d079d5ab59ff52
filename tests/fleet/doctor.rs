//! The output of `pipefold doctor` about a queue, which it does not change.

use pipefold_tests::nats::{Connection, Options};
use pipefold_tests::{Output, RUN};
use serde_json::{Value, json};

use crate::place::{Fleet, REJECTED, STREAM};

/// A finding: the state of one thing, and the advice about it.
fn check(output: &Output, what: &str) -> (String, Option<String>) {
    let answer = output.json();
    let found = answer["checks"].as_array().unwrap().iter();
    let mut found = found.filter(|check| check["what"] == what);
    let one = found.next().unwrap_or_else(|| panic!("nothing of {what}: {output}"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (text(&one["found"]).unwrap(), text(&one["fix"]))
}

fn doctor(fleet: &Fleet, queue: &str) -> Output {
    let output = fleet.report(RUN, "doctor --json").env("PIPEFOLD_QUEUE", queue).run();
    output.assert_code(0);
    output
}

#[test]
fn doctor_reports_if_the_queue_can_be_used_with_advice() {
    let Some(fleet) = Fleet::bare(
        "doctor_reports_if_the_queue_can_be_used_with_advice",
        &Options::default(),
    ) else {
        return;
    };
    let url = fleet.cluster.url();
    let (_, fix) = check(&doctor(&fleet, &url), "queue");
    assert!(fix.unwrap().contains("pipefold queue init"), "there is no stream yet");

    fleet.init(&[]);
    fleet.report(RUN, "start").run().assert_code(0);
    let well = doctor(&fleet, &url);
    let (found, fix) = check(&well, "queue");
    assert_eq!(fix, None);
    assert!(
        found.starts_with(&format!("{url}, instead of DX, answers after ")) && found.ends_with("1 messages in it"),
        "{found}"
    );
    assert_eq!(well.json()["to_fix"], 0, "{well}");
    assert_eq!(fleet.waiting(), 1, "it put nothing there");
    fleet
        .report(RUN, "doctor --strict")
        .env("PIPEFOLD_QUEUE", &url)
        .run()
        .assert_code(0);

    let mut connection = fleet.cluster.connect(0).unwrap();
    let answer = connection.request(&format!("$JS.API.STREAM.DELETE.{REJECTED}"), &[], b"");
    assert_eq!(answer.unwrap()["success"], true);
    let (_, fix) = check(&doctor(&fleet, &url), "queue");
    assert!(fix.unwrap().contains(&format!("{REJECTED}: it is missing")));
    assert!(fleet.cluster.stream(REJECTED).is_none(), "it makes nothing");

    fleet.cluster.kill(0);
    let away = doctor(&fleet, &url);
    let (_, fix) = check(&away, "queue");
    assert!(fix.unwrap().contains("Connection refused"), "{away}");
}

/// A user who may publish runs and no more, as a runner should; and a user who may not even publish.
const USERS: &str = "accounts { A { jetstream: enabled, users: [
    { user: all, password: p },
    { user: runner, password: p, permissions: { publish: [\"pipefold.runs.>\"], subscribe: [\"_INBOX.report.>\"] } }
] } }
";

#[test]
fn publishing_needs_the_rights_that_the_guide_lists() {
    let test = "publishing_needs_the_rights_that_the_guide_lists";
    let with = |user: &str, permissions: &str| {
        let permissions = USERS.replace("pipefold.runs.>", permissions);
        let options = Options {
            configuration: format!("no_auth_user: {user}\n{permissions}"),
            ..Options::default()
        };
        Fleet::bare(test, &options)
    };
    let Some(fleet) = with("runner", "pipefold.runs.>") else {
        return;
    };
    let node = fleet.cluster.url().trim_start_matches("nats://").parse().unwrap();
    let mut administrator = Connection::open(node, &json!({ "user": "all", "pass": "p" })).unwrap();
    let config =
        json!({ "name": STREAM, "subjects": ["pipefold.runs.*"], "storage": "file", "retention": "workqueue" });
    let answer = administrator.request(
        &format!("$JS.API.STREAM.CREATE.{STREAM}"),
        &[],
        config.to_string().as_bytes(),
    );
    assert!(answer.unwrap()["error"].is_null());
    let output = fleet.report(RUN, "start").run();
    output.assert_code(0);
    assert_eq!(output.stderr(), "");
    assert_eq!(fleet.waiting(), 1);
    let (found, fix) = check(&doctor(&fleet, &fleet.cluster.url()), "queue");
    assert!(
        found.contains("not shown to these credentials") && fix.is_none(),
        "{found}"
    );

    let fleet = with("runner", "else.>").unwrap();
    let output = fleet.report(RUN, "start").run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("does not allow these credentials to publish"),
        "{output}"
    );
}
