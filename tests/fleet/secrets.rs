//! Servers that ask for credentials.

use std::path::PathBuf;

use pipefold_tests::nats::Options;
use pipefold_tests::{Ci, RUN, SpoolContent, workspace_root};

use crate::forwarder::Forwarder;
use crate::place::Fleet;

const TOKEN: &str = "open-sesame-0123456789";

fn with_token(test: &str) -> Option<Fleet> {
    let options = Options {
        configuration: format!("authorization {{ token: \"{TOKEN}\" }}"),
        ..Options::default()
    };
    Fleet::bare(test, &options)
}

fn file(fleet: &Fleet, name: &str, content: &str) -> PathBuf {
    let path = fleet.ci.directory().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn with_the_token_all_works_and_without_runs_wait_and_nothing_shows_it() {
    let test = "with_the_token_all_works_and_without_runs_wait_and_nothing_shows_it";
    let Some(fleet) = with_token(test) else { return };
    // A refusal is reported at once; a busy machine takes its time for the rest.
    fleet.ci.budgets(10_000, 10_000, 10_000);
    let (right, wrong) = (
        file(&fleet, "right", TOKEN),
        file(&fleet, "wrong", "another-secret-987654"),
    );
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    fleet.init(&["--queue-token-file", right]);

    for arguments in [vec![], vec!["--queue-token-file", wrong]] {
        let check = fleet.pipefold(["queue", "check"].iter().chain(&arguments)).run();
        assert_ne!(check.code, Some(0), "{check}");
        assert!(check.stderr().contains("credentials"), "{check}");
        let command = format!("finish --status success {}", arguments.join(" "));
        let output = fleet.report(RUN, command.trim()).run();
        output.assert_code(0);
        assert!(output.stderr().contains("credentials"), "{output}");
    }
    assert_eq!(SpoolContent::read(&fleet.ci.spool()).waiting().count(), 2);

    let finish = format!("finish --status success --queue-token-file {right}");
    fleet.report("run-2", &finish).run().assert_code(0);
    let forwarder = Forwarder::start(
        &fleet.cluster.url(),
        &fleet.ci.dx,
        &["--window", "200ms", "--queue-token-file", right],
    );
    pipefold_tests::eventually("DX knows of it", || fleet.ci.dx.records().contains_key("run-2"));
    let log = forwarder.stop();
    assert!(!log.contains(TOKEN) && !log.contains("another-secret"), "{log}");
    for (path, content) in Ci::files(&fleet.ci.spool()) {
        let content = String::from_utf8_lossy(&content);
        assert!(
            !content.contains(TOKEN) && !content.contains("another-secret"),
            "{}",
            path.display()
        );
    }
    let told = fleet.pipefold(["status"]).run().stdout() + &fleet.pipefold(["doctor"]).run().stdout();
    assert!(!told.contains(TOKEN), "{told}");
    // Nor to one who wants to know everything.
    let check = fleet
        .pipefold(["queue", "check", "-vvv", "--queue-token-file", right])
        .run();
    check.assert_code(0);
    assert!(check.stderr().contains("DEBUG"), "{check}");
    assert!(!check.stderr().contains(TOKEN), "{check}");
}

#[test]
fn a_forwarder_with_wrong_credentials_ends_with_advice() {
    let Some(fleet) = with_token("a_forwarder_with_wrong_credentials_ends_with_advice") else {
        return;
    };
    let wrong = file(&fleet, "wrong", "another-secret-987654");
    let mut forwarder = Forwarder::start(
        &fleet.cluster.url(),
        &fleet.ci.dx,
        &["--queue-token-file", wrong.to_str().unwrap()],
    );
    let code = forwarder.wait().code;
    assert_ne!(code, Some(0));
    assert!(forwarder.log().contains("--queue-token-file"), "{}", forwarder.log());
    assert!(!forwarder.log().contains("another-secret"), "{}", forwarder.log());
}

/// The path of credentials that were made once for these tests: an operator, an account and a user, and a user of an account that the
/// server does not know.
fn credentials(name: &str) -> PathBuf {
    workspace_root().join("tests/fleet/credentials").join(name)
}

#[test]
fn the_credentials_of_a_nats_user_are_taken_and_a_strangers_are_not() {
    let test = "the_credentials_of_a_nats_user_are_taken_and_a_strangers_are_not";
    let options = Options {
        configuration: std::fs::read_to_string(credentials("server.conf")).unwrap(),
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    let (user, stranger) = (credentials("user.creds"), credentials("stranger.creds"));
    let (user, stranger) = (user.to_str().unwrap(), stranger.to_str().unwrap());
    fleet.init(&["--queue-credentials", user]);
    let check = |file: &str| fleet.pipefold(["queue", "check", "--queue-credentials", file]).run();
    check(user).assert_code(0);
    let refused = check(stranger);
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stderr().contains("credentials"), "{refused}");

    let settings = format!(
        "[queue]\nurl = \"{}\"\ncredentials_file = \"{user}\"\n",
        fleet.cluster.url()
    );
    fleet.ci.operator(&settings);
    let finish = fleet.ci.report_run(RUN, ["finish", "--status", "success"]);
    finish.env_remove("DX_API_TOKEN").run().assert_code(0);
    let arguments = ["--window", "200ms", "--queue-credentials", user];
    let forwarder = Forwarder::start(&fleet.cluster.url(), &fleet.ci.dx, &arguments);
    pipefold_tests::eventually("DX knows of it", || fleet.ci.dx.records().contains_key(RUN));
    let log = forwarder.stop();
    let seed = std::fs::read_to_string(user).unwrap();
    let seed = seed.lines().find(|line| line.starts_with("SU")).unwrap();
    assert!(!log.contains(seed), "{log}");
    for (path, content) in Ci::files(&fleet.ci.spool()) {
        assert!(!String::from_utf8_lossy(&content).contains(seed), "{}", path.display());
    }
    // A file of the other kind is named in the error, and its content is not shown.
    let mistaken = file(&fleet, "mistaken", TOKEN);
    let output = check(mistaken.to_str().unwrap());
    assert_ne!(output.code, Some(0), "{output}");
    assert!(output.stderr().contains(mistaken.to_str().unwrap()), "{output}");
    assert!(!(output.stdout() + &output.stderr()).contains(TOKEN), "{output}");
}
