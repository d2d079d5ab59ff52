//! Data that a policy removes is in no message of a queue, and a forwarder's policy at fault loses nothing.

use pipefold_tests::{RUN, SpoolContent, binary, eventually};

use crate::place::Fleet;
use crate::redacting::{EMAIL, PIPELINE_NAME, SECRET, redact, write};

fn assert_not_published(fleet: &Fleet) {
    for message in fleet.messages() {
        let body = String::from_utf8_lossy(&message.payload).into_owned();
        assert!(!body.contains(SECRET), "{body}");
    }
}

#[test]
fn what_was_recorded_under_a_policy_is_published_only_through_it() {
    let Some(fleet) = Fleet::start("what_was_recorded_under_a_policy_is_published_only_through_it") else {
        return;
    };
    fleet.ci.budgets(1000, 3000, 1000);
    let policy = write(&fleet.ci, "redact.wasm", &redact(EMAIL));
    let policy = policy.to_str().unwrap();

    // A step within, without the variable that names the policy.
    let path = binary("pipefold").parent().unwrap().display().to_string();
    let script = format!(
        "env -u PIPEFOLD_POLICY pipefold step --step a --now --email {SECRET} -- true; until [ -e go ]; do sleep 0.05; done"
    );
    let words = ["exec", "--email", SECRET, "--policy", policy, "--", "sh", "-c", &script];
    let build = fleet.told(fleet.ci.report_run(RUN, words));
    let running = build
        .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
        .spawn();
    eventually("the step is a message of its own", || fleet.waiting() > 1);
    std::fs::write(fleet.ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(0);
    assert_not_published(&fleet);

    // An outage of the queue, and a plain flush after it.
    fleet.cluster.kill(0);
    let command = format!("finish --status success --email {SECRET} --policy {policy}");
    fleet.report("run-2", &command).run().assert_code(0);
    fleet.cluster.restart(0);
    eventually("the queue is there again", || {
        fleet.pipefold(["queue", "check"]).run().code == Some(0)
    });
    fleet.pipefold(["flush", "--timeout", "10s"]).run().assert_code(0);
    assert_not_published(&fleet);
    assert_eq!(SpoolContent::read(&fleet.ci.spool()).waiting().count(), 1);
    fleet
        .pipefold(["--policy", policy, "flush", "--timeout", "10s"])
        .run()
        .assert_code(0);
    assert_eq!(SpoolContent::read(&fleet.ci.spool()).waiting().count(), 0);
    assert_not_published(&fleet);
}

#[test]
fn a_forwarders_policy_that_spoils_a_run_is_at_fault_and_the_run_waits() {
    let test = "a_forwarders_policy_that_spoils_a_run_is_at_fault_and_the_run_waits";
    let Some(fleet) = Fleet::start(test) else { return };
    fleet.report(RUN, "finish --status success").run().assert_code(0);
    let policy = write(&fleet.ci, "blank.wasm", &redact(PIPELINE_NAME));
    let spoiling = fleet.forward(&["--policy", policy.to_str().unwrap()]);
    fleet.a_moment();
    fleet.a_moment();
    let log = spoiling.stop();
    assert!(log.contains("policy blank"), "{log}");
    assert_eq!(fleet.refused(), 0, "nothing is given up: {log}");
    assert!(fleet.ci.dx.requests().is_empty());
    let forwarder = fleet.forward(&[]);
    eventually("DX has the run", || fleet.ci.dx.records().contains_key(RUN));
    drop(forwarder.stop());
}

#[test]
fn a_forwarder_sends_nothing_without_the_signature_of_its_policy() {
    let test = "a_forwarder_sends_nothing_without_the_signature_of_its_policy";
    let Some(fleet) = Fleet::start(test) else { return };
    let command = format!("finish --status success --email {SECRET}");
    fleet.report(RUN, &command).run().assert_code(0);
    let policy = write(
        &fleet.ci,
        "signed.wasm",
        include_bytes!("../policies/signed/emails.wasm"),
    );
    let key = include_str!("../policies/signed/key.pub").lines().last().unwrap();
    fleet
        .ci
        .operator(&format!("[[policy]]\nfile = \"signed.wasm\"\nkey = {key:?}\n"));
    let file = fleet.ci.operator_file();
    let arguments = ["--config", file.to_str().unwrap()];
    let ended = fleet.forward(&arguments).wait();
    let missing = format!("{}.minisig is missing", policy.display());
    assert!(ended.code == Some(1) && ended.log.contains(&missing), "{ended:?}");
    assert!(fleet.ci.dx.requests().is_empty());

    let signature = include_bytes!("../policies/signed/emails.wasm.minisig");
    std::fs::write(fleet.ci.directory().join("signed.wasm.minisig"), signature).unwrap();
    let forwarder = fleet.forward(&arguments);
    eventually("DX has the run", || fleet.ci.dx.records().contains_key(RUN));
    drop(forwarder.stop());
    for request in fleet.ci.dx.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
}
