//! The effects of a refusal by DX: of a token, of a run, of one run among many.

use pipefold::spool::{Entry, Judgement};
use pipefold::{Hook, Notification, Reporter, Token, clock};
use pipefold_tests::{Ci, Mode, Output, SpoolContent, Standin, Times};
use serde_json::Value;
use std::time::Duration;

fn refuse(ci: &Ci, reference_id: &str, code: &str, status: u16) {
    let mode = Mode::NotOk {
        code: code.into(),
        status,
    };
    ci.dx.misbehave_for(reference_id, mode, Times::Always);
}

fn flush(ci: &Ci) -> Output {
    let output = ci.pipefold(["flush", "--timeout", "5s"]).run();
    output.assert_code(0);
    output
}

fn requests_about(ci: &Ci, reference_id: &str) -> usize {
    ci.dx
        .requests()
        .iter()
        .filter(|request| request.json()["reference_id"] == reference_id)
        .count()
}

fn status(ci: &Ci) -> String {
    let output = ci.pipefold(["status", "--json"]).run();
    output.assert_code(0);
    let _: Value = output.json();
    output.stdout()
}

#[test]
fn a_refused_token_is_reported_once_and_the_run_is_kept() {
    let ci = Ci::new();
    ci.dx.set_tokens(&["another"]);
    let output = ci.report(["start"]).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("invalid_auth") && output.stderr().contains("DX_API_TOKEN"),
        "{output}"
    );
    assert_eq!(
        requests_about(&ci, "run-1"),
        1,
        "asking again would not change DX's mind"
    );

    ci.report(["step", "--step", "s", "--now"]).run().assert_code(0);
    ci.report(["finish"]).run().assert_code(0);
    assert_eq!(requests_about(&ci, "run-1"), 1, "nor for the rest of the run");
    let content = SpoolContent::read(&ci.spool());
    assert_eq!(content.waiting().count(), 3);
    assert!(status(&ci).contains("invalid_auth"));

    flush(&ci);
    assert_eq!(requests_about(&ci, "run-1"), 2, "on request it is asked again");
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 3);
    ci.dx.set_tokens(&[ci.dx.token()]);
    flush(&ci);
    assert!(ci.record().finished_at.is_some(), "the account may have been put right");
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn a_new_token_for_the_same_address_delivers_what_the_old_one_could_not() {
    let ci = Ci::new();
    ci.dx.set_tokens(&["rotated"]);
    ci.report_run("old", ["finish"]).run().assert_code(0);
    assert!(ci.dx.records().is_empty());
    // Whatever command has the new token next.
    let output = ci.report_run("new", ["start"]).env("DX_API_TOKEN", "rotated").run();
    output.assert_code(0);
    assert!(ci.record_of("old").finished_at.is_some(), "{output}");
    assert_eq!(ci.record_of("new").status, "running");
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn a_new_token_delivers_also_what_was_never_tried_with_the_old_one() {
    let ci = Ci::new();
    ci.budgets(20, 20, 20);
    ci.dx.set_mode(Mode::RefuseConnections);
    let runs: Vec<String> = (0..30).map(|number| format!("old-{number}")).collect();
    for run in &runs {
        ci.report_run(run, ["finish"]).run().assert_code(0);
    }
    ci.dx.set_mode(Mode::Normal);
    ci.dx.set_tokens(&["rotated"]);
    ci.budgets(5_000, 5_000, 5_000);
    // This one finds out; the other thirty are of the same token.
    ci.report_run("unlucky", ["finish"]).run().assert_code(0);
    assert!(ci.dx.records().is_empty());
    let output = ci.report_run("new", ["finish"]).env("DX_API_TOKEN", "rotated").run();
    output.assert_code(0);
    assert!(ci.record_of("unlucky").finished_at.is_some(), "{output}");
    for run in &runs {
        assert!(ci.record_of(run).finished_at.is_some(), "{run}: {output}");
    }
}

#[test]
fn a_final_refusal_moves_the_run_aside_and_it_is_never_sent_again() {
    for code in ["invalid_json", "invalid_timestamp", "required_params_missing"] {
        let ci = Ci::new();
        refuse(&ci, "run-1", code, 422);
        let output = ci.report(["finish", "--status", "success"]).run();
        output.assert_code(0);
        assert!(output.stderr().contains(code), "it says so: {output}");

        ci.dx.set_mode(Mode::Normal);
        flush(&ci);
        ci.report_run("run-2", ["finish"]).run().assert_code(0);
        assert_eq!(requests_about(&ci, "run-1"), 1, "{code}");
        assert!(!ci.dx.records().contains_key("run-1"));

        let content = SpoolContent::read(&ci.spool());
        content.assert_sound(&code);
        assert_eq!(content.rejections.len(), 1);
        let rejection = &content.rejections[0];
        assert_eq!(rejection["code"], code);
        assert!(
            rejection["message"].as_str().is_some_and(|words| !words.is_empty()),
            "DX's words: {rejection}"
        );
        assert_eq!(
            rejection["request"]["reference_id"], "run-1",
            "and what they were said to: {rejection}"
        );
        let status = status(&ci);
        assert!(status.contains(code) && status.contains("run-1"), "{status}");
    }
}

#[test]
fn a_refusal_that_the_page_does_not_list_may_pass() {
    // As in an incident of DX: with status 200 as well as with an error's.
    for (code, status) in [
        ("internal_error", 200),
        ("fatal_error", 422),
        ("", 400),
        ("paused", 409),
    ] {
        let ci = Ci::new();
        refuse(&ci, "run-1", code, status);
        let output = ci.report(["start"]).run();
        assert!(output.assert_code(0).stderr().contains("Saved in"), "{output}");
        for command in [
            &["step", "--step", "s", "--now"][..],
            &["finish", "--status", "failure"],
        ] {
            ci.report(command.iter().copied()).run().assert_code(0);
        }
        for _ in 0..3 {
            ci.pipefold(["flush", "--timeout", "1s"]).run().assert_code(0);
        }
        assert!(requests_about(&ci, "run-1") > 6, "{code}");
        let content = SpoolContent::read(&ci.spool());
        assert_eq!((content.rejections.len(), content.waiting().count()), (0, 3), "{code}");
        ci.dx.set_mode(Mode::Normal);
        // Whatever command comes next.
        ci.report_run("next", ["start"]).run().assert_code(0);
        let record = ci.record();
        assert!(
            record.status == "failure" && record.finished_at.is_some(),
            "{code}: {record:?}"
        );
        assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0, "{code}");
    }
}

#[test]
fn refused_runs_are_listed_and_can_be_taken_back() {
    let ci = Ci::new();
    refuse(&ci, "run-1", "invalid_timestamp", 422);
    for command in ["start", "finish"] {
        let output = ci.report([command, "--json"]).run();
        output.assert_code(0);
        let (said, json) = (output.stderr(), output.json());
        assert!(
            said.contains("refused: ") && said.contains("--rejected") && !said.contains("Saved in"),
            "{output}"
        );
        assert_eq!(
            (&json["delivered"], &json["rejected"]),
            (&false.into(), &true.into()),
            "{output}"
        );
    }
    ci.report(["finish", "--strict"]).run().assert_code(1);
    let shown = ci.pipefold(["status"]).run().stdout();
    assert!(shown.contains("of run-1: invalid_timestamp"), "{shown}");

    ci.dx.set_mode(Mode::Normal);
    flush(&ci);
    assert!(ci.dx.records().is_empty(), "not without being asked");
    let output = ci.pipefold(["flush", "--rejected", "--timeout", "5s"]).run();
    output.assert_code(0);
    assert!(ci.record().finished_at.is_some(), "{output}");
    let content = SpoolContent::read(&ci.spool());
    content.assert_sound(&"taken back");
    assert_eq!((content.rejections.len(), content.waiting().count()), (0, 0));
}

#[test]
fn another_failure_after_a_refused_token_is_not_the_token() {
    let ci = Ci::new();
    ci.budgets(200, 200, 200);
    refuse(&ci, "run-1", "invalid_auth", 401);
    ci.report(["start"]).run().assert_code(0);
    ci.dx.set_mode(Mode::Normal);
    ci.dx.misbehave_for("run-1", Mode::InternalError, Times::Always);
    ci.pipefold(["flush", "--timeout", "300ms"]).run().assert_code(0);
    ci.dx.set_mode(Mode::Normal);
    ci.report(["finish"]).run().assert_code(0);
    assert!(ci.record().finished_at.is_some(), "DX and token are well");
}

#[test]
fn one_bad_notification_takes_no_good_one_along() {
    let ci = Ci::new();
    ci.budgets(100, 100, 100);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report(["start"]).run().assert_code(0);
    ci.report(["step", "--step", "s", "--status", "failure"])
        .run()
        .assert_code(0);
    // Where there was no verdict, the rules have not seen what is wrong with it.
    let reporter = Reporter::builder().dx_url(ci.dx.url()).spool(ci.spool());
    let reporter = reporter
        .token(Token::new(ci.dx.token().to_owned()).unwrap())
        .build()
        .unwrap();
    let bad = Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("tests".into()),
        reference_id: Some("run-1".into()),
        started_at: Some("2025-01-01T12:00:00Z".into()),
        email: Some("a\u{1}b".into()),
        ..Notification::default()
    };
    let unjudged = Judgement::Unjudged("the rules could not be loaded".into());
    let entry = Entry::new(
        Hook::Finish,
        clock::now(),
        reporter.destination().clone(),
        unjudged,
        bad,
    );
    reporter.spool().unwrap().record(&entry).unwrap();
    ci.dx.set_mode(Mode::Normal);
    flush(&ci);
    let content = SpoolContent::read(&ci.spool());
    assert_eq!(content.rejections.len(), 1, "{content:?}");
    assert_eq!(content.rejections[0]["ids"].as_array().unwrap().len(), 1);
    ci.report(["finish"]).run().assert_code(0);
    let record = ci.record();
    assert!(record.status == "failure" && record.finished_at.is_some(), "{record:?}");
}

#[test]
fn one_run_that_fails_delays_no_other() {
    let ci = Ci::new();
    ci.budgets(20, 20, 20);
    ci.dx.set_mode(Mode::InternalError);
    let runs: Vec<String> = (0..8).map(|number| format!("run-{number}")).collect();
    for run in &runs {
        ci.report_run(run, ["finish"]).run().assert_code(0);
    }
    ci.dx.set_mode(Mode::Normal);
    for (bad, mode) in [
        ("run-2", Mode::InternalError),
        ("run-3", Mode::NotJson),
        ("run-5", Mode::BadGateway),
    ] {
        ci.dx.misbehave_for(bad, mode, Times::Always);
    }
    let started = ci.dx.requests().len();
    flush(&ci);
    let good = || {
        runs.iter()
            .filter(|run| !["run-2", "run-3", "run-5"].contains(&run.as_str()))
    };
    for run in good() {
        assert!(ci.record_of(run).finished_at.is_some(), "{run}");
    }
    // Each was tried once before any was tried twice.
    let requests = ci.dx.requests();
    let first: std::collections::BTreeSet<String> = requests[started..]
        .iter()
        .take(runs.len())
        .map(|request| request.json()["reference_id"].to_string())
        .collect();
    assert_eq!(first.len(), runs.len());
    assert!(
        requests.len() > started + runs.len(),
        "and the bad ones were tried again"
    );

    // A new run comes through beside them, within its own small budget.
    ci.budgets(1_000, 1_000, 1_000);
    ci.report_run("another", ["finish"]).run().assert_code(0);
    assert!(ci.record_of("another").finished_at.is_some());
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 3);
}

#[test]
fn one_run_that_hangs_delays_no_other_for_long() {
    let ci = Ci::new();
    ci.budgets(20, 20, 20);
    ci.dx.set_mode(Mode::InternalError);
    for number in 0..4 {
        ci.report_run(&format!("run-{number}"), ["finish"]).run().assert_code(0);
    }
    ci.dx.set_mode(Mode::Normal);
    ci.dx.misbehave_for("run-1", Mode::Hang, Times::Always);
    flush(&ci);
    let mut records: Vec<String> = ci.dx.records().into_keys().collect();
    records.sort();
    assert_eq!(records, ["run-0", "run-2", "run-3"]);
}

#[test]
fn a_failure_that_needs_a_person_is_reported_and_the_run_waits() {
    let untrusted = Ci::with(Standin::start_tls());
    let without_tls = Ci::new();
    let https = without_tls.dx.url().replace("http:", "https:");
    let cases = [
        (
            &untrusted,
            untrusted.dx.url(),
            "an authority that this system does not know",
        ),
        (&without_tls, https, "does not speak TLS"),
    ];
    for (ci, url, words) in cases {
        ci.budgets(60_000, 60_000, 60_000);
        let finish = ci.report(["finish"]).env("DX_API_URL", url).run();
        finish.assert_code(0).assert_within(Duration::from_secs(20));
        let said = finish.stderr();
        assert!(said.contains(words) && said.contains("Saved in"), "{finish}");
    }
}
