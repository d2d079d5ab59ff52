//! A DX that misbehaves: the build keeps its exit code, its output, and its duration except for the budget, and nothing is lost.

use std::time::Duration;

use pipefold_tests::{Ci, Mode, Output, RUN, RetryAfter, Standin, Times};

/// The limit of a command: far more than the budgets of these tests, with room for a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// The fate of a run after an answer of DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits, and the next flush brings it to DX.
    Kept,
    /// DX has it, but its answer does not count: the run waits, and may be sent again.
    KeptThoughSent,
    /// It is moved to `rejected/`.
    Rejected,
}

fn not_ok(code: &str, status: u16) -> Mode {
    Mode::NotOk {
        code: code.into(),
        status,
    }
}

/// Runs `exec -- sh -c 'exit 3'` against a DX in this mode, with short budgets, and follows the run to its end.
fn survives(mode: Mode, fate: Fate, says: &str) -> Ci {
    let ci = Ci::new();
    // DX's answer must come within the budget, on a busy machine too; one of ten megabytes takes its time.
    let finish = if mode == Mode::Huge { 10_000 } else { 2_000 };
    ci.budgets(200, finish, 300);
    ci.dx.set_mode(mode.clone());
    let output = ci.exec(["sh", "-c", "echo out; echo err >&2; exit 3"]).run();
    untouched(&output, &mode);
    assert!(
        output.stderr().contains(says),
        "{mode:?}: it should say {says:?}\n{output}"
    );
    check_fate(&ci, &mode, fate);
    ci
}

/// The build is as if DX were not there.
fn untouched(output: &Output, mode: &Mode) {
    assert_eq!(output.code, Some(3), "{mode:?}\n{output}");
    output.assert_within(SOON);
    assert_eq!(output.stdout(), "out\n", "{mode:?}");
    let stderr = output.stderr();
    assert!(stderr.contains("err\n"), "{mode:?}\n{output}");
    assert!(
        stderr
            .lines()
            .all(|line| line == "err" || line.starts_with("pipefold: ")),
        "{mode:?}\n{output}"
    );
}

fn check_fate(ci: &Ci, mode: &Mode, fate: Fate) {
    let known = ci.dx.records().contains_key(RUN);
    assert_eq!(
        known,
        fate == Fate::KeptThoughSent,
        "{mode:?}: what DX knows before the flush"
    );
    let rejected = Ci::files(&ci.spool().join("rejected"));
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    if fate == Fate::Rejected {
        assert!(!rejected.is_empty(), "{mode:?}: nothing lies in rejected/");
        assert!(
            !ci.dx.records().contains_key(RUN),
            "{mode:?}: what was rejected is never sent again"
        );
        return;
    }
    assert!(rejected.is_empty(), "{mode:?}: {rejected:?}");
    assert_eq!(ci.record().status, "failure", "{mode:?}");
    assert!(ci.record().finished_at.is_some(), "{mode:?}");
}

#[test]
fn refusing_connections() {
    survives(Mode::RefuseConnections, Fate::Kept, "connection refused");
}

#[test]
fn hanging() {
    survives(Mode::Hang, Fate::Kept, "no complete answer");
}

#[test]
fn hanging_under_the_default_budget() {
    let ci = Ci::new();
    ci.dx.set_mode(Mode::Hang);
    let output = ci.exec(["sh", "-c", "exit 3"]).run();
    // The finish budget is 5 s; the rest is for a busy machine.
    output.assert_code(3).assert_within(Duration::from_secs(5 + 10));
    check_fate(&ci, &Mode::Hang, Fate::Kept);
}

#[test]
fn a_command_that_takes_longer_than_dx_hangs_is_not_held_up_at_its_start() {
    let ci = Ci::new();
    ci.dx.set_mode(Mode::Hang);
    let mark = ci.workspace().join("mark");
    let running = ci.exec(["sh", "-c", "touch mark; sleep 0.2; exit 3"]).spawn();
    // The command starts without waiting for DX: long before the first request could time out.
    pipefold_tests::eventually("the command starts", || mark.exists());
    running.wait().assert_code(3);
}

#[test]
fn a_start_takes_no_more_than_its_own_budget() {
    let ci = Ci::new();
    // Were the budget of the finish used, this would take longer than a test may.
    ci.budgets(300, 120_000, 300);
    ci.dx.set_mode(Mode::Hang);
    ci.report(["start"]).run().assert_code(0).assert_within(SOON);
    ci.report(["step", "--step", "s", "--now"])
        .run()
        .assert_code(0)
        .assert_within(SOON);
}

#[test]
fn server_errors() {
    survives(Mode::InternalError, Fate::Kept, "status 500");
    survives(Mode::BadGateway, Fate::Kept, "status 502");
}

#[test]
fn too_many_requests() {
    for retry_after in [
        RetryAfter::None,
        RetryAfter::Seconds(3600),
        RetryAfter::Seconds(0),
        RetryAfter::Date(3600),
        RetryAfter::Date(-60),
    ] {
        survives(Mode::TooManyRequests { retry_after }, Fate::Kept, "status 429");
    }
}

#[test]
fn answers_that_are_none() {
    survives(Mode::NotJson, Fate::Kept, "status 200");
    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, "{\"ok\":\"true\"}"),
        (401, "Denied"),
        (403, "<html>"),
        (404, ""),
        (204, ""),
    ] {
        survives(
            Mode::Plain {
                status,
                body: body.into(),
            },
            Fate::Kept,
            &format!("status {status}"),
        );
    }
}

#[test]
fn an_answer_cut_in_half_does_not_count() {
    survives(
        Mode::CloseHalfWay,
        Fate::KeptThoughSent,
        "cut before the answer was complete",
    );
}

#[test]
fn an_answer_of_ten_megabytes_is_not_swallowed() {
    survives(Mode::Huge, Fate::KeptThoughSent, "status 200");
}

#[test]
fn a_slow_drip_is_held_to_the_budget() {
    survives(Mode::SlowDrip, Fate::KeptThoughSent, "no complete answer");
}

#[test]
fn refusals_of_the_run_are_final() {
    for code in ["invalid_json", "invalid_timestamp", "required_params_missing"] {
        let ci = survives(not_ok(code, 422), Fate::Rejected, code);
        let rejected = Ci::files(&ci.spool().join("rejected"));
        let with_words = rejected
            .iter()
            .any(|(_, content)| String::from_utf8_lossy(content).contains("The server was told to say so."));
        assert!(with_words, "{code}: DX's own words are kept: {rejected:?}");
    }
    // With status 200, as DX's page leaves open.
    survives(not_ok("invalid_timestamp", 200), Fate::Rejected, "invalid_timestamp");
}

#[test]
fn refusals_of_the_token_keep_the_run() {
    for code in ["not_authed", "invalid_auth", "account_inactive"] {
        survives(not_ok(code, 401), Fate::Kept, code);
    }
}

#[test]
fn a_refused_token_is_asked_about_once_and_the_next_token_delivers() {
    let ci = Ci::new();
    let wrong = "wrong-token-0000";
    let first = ci.exec(["true"]).env("DX_API_TOKEN", wrong).run();
    insta::assert_snapshot!("refused_token", ci.neutral(&first.assert_code(0).stderr()));
    let asked = ci.dx.requests().len();
    ci.report(["step", "--step", "later", "--now"])
        .env("DX_API_TOKEN", wrong)
        .run()
        .assert_code(0);
    assert_eq!(
        ci.dx.requests().len(),
        asked,
        "the same token is not tried again by itself"
    );
    ci.report_run("run-2", ["exec", "--", "true"]).run().assert_code(0);
    assert_eq!(
        ci.record().status,
        "success",
        "a new token takes the old one's runs along"
    );
}

#[test]
fn an_unknown_refusal_may_pass() {
    for (code, status) in [("paused", 400), ("internal_error", 200)] {
        survives(not_ok(code, status), Fate::Kept, code);
    }
}

#[test]
fn a_wait_that_the_budget_does_not_last_for_is_not_waited() {
    let ci = Ci::new();
    // Were they waited for, this would take longer than a test may.
    ci.budgets(120_000, 120_000, 120_000);
    ci.dx.set_mode(Mode::TooManyRequests {
        retry_after: RetryAfter::Seconds(3600),
    });
    let output = ci.report(["start"]).run();
    output.assert_code(0).assert_within(SOON);
    insta::assert_snapshot!("wait_longer_than_the_budget", ci.neutral(&output.stderr()));
    assert_eq!(ci.dx.requests().len(), 1);
    // Nor does the next command send anything before the time that DX set.
    for command in ["finish", "start"] {
        let output = ci.report([command]).run();
        output.assert_code(0).assert_within(SOON);
        assert!(output.stderr().contains("DX asked for no requests until"), "{output}");
    }
    assert_eq!(ci.dx.requests().len(), 1);
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    assert!(ci.record().finished_at.is_some(), "someone asked by name");
    ci.report_run("next", ["finish"]).run().assert_code(0);
    assert!(ci.record_of("next").finished_at.is_some(), "DX answers again");
}

#[test]
fn a_lasting_failure_is_not_retried_for_the_whole_budget() {
    let ci = Ci::new();
    ci.budgets(120_000, 120_000, 120_000);
    let mode = Mode::Plain {
        status: 404,
        body: "<html>".into(),
    };
    ci.dx.set_mode(mode);
    let output = ci.report(["finish"]).run();
    output.assert_code(0).assert_within(SOON);
    insta::assert_snapshot!("wrong_url", ci.neutral(&output.stderr()));
    assert_eq!(ci.dx.requests().len(), 1);
    ci.dx.set_mode(Mode::Normal);
    ci.report_run("next", ["finish"]).run().assert_code(0);
    assert!(ci.record().finished_at.is_some(), "it was kept");
}

#[test]
fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let other = Standin::start();
        let to = format!("{}/api/pipelineRuns.upsert", other.url());
        let ci = survives(Mode::Redirect { status, to }, Fate::Kept, "redirect");
        assert!(other.requests().is_empty(), "status {status} led to another host");
        // The same host is no better: it is not the address that the operator gave.
        let to = format!("{}/elsewhere/api/pipelineRuns.upsert", ci.dx.url());
        let ci = survives(Mode::Redirect { status, to }, Fate::Kept, "redirect");
        assert!(
            ci.dx
                .requests()
                .iter()
                .all(|request| request.path == "/api/pipelineRuns.upsert")
        );
    }
}

#[test]
fn an_unknown_authority_keeps_the_run_until_it_is_named() {
    let ci = Ci::with(Standin::start_tls());
    ci.budgets(1000, 2000, 500);
    let output = ci.exec(["sh", "-c", "exit 3"]).run();
    output.assert_code(3);
    insta::assert_snapshot!("unknown_authority", ci.neutral(&output.stderr()));
    assert!(ci.dx.requests().is_empty());
    ci.pipefold(["flush".as_ref(), "--ca-file".as_ref(), ci.dx.ca_file().as_os_str()])
        .run()
        .assert_code(0);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn a_hiccup_is_got_over_within_the_budget() {
    let ci = Ci::new();
    ci.budgets(5000, 20_000, 500);
    ci.dx.misbehave(Mode::BadGateway, Times::Next(1));
    ci.dx.misbehave(Mode::CloseHalfWay, Times::Next(1));
    let output = ci.exec(["true"]).run();
    output.assert_code(0);
    assert_eq!(ci.record().status, "success", "{output}");
    assert!(output.stderr().contains("delivered"), "{output}");
}

#[test]
fn trouble_of_one_run_does_not_delay_another() {
    let ci = Ci::new();
    ci.budgets(500, 1500, 500);
    ci.dx.misbehave_for("bad", Mode::Hang, Times::Always);
    ci.report_run("bad", ["exec", "--", "true"]).run().assert_code(0);
    let output = ci.report_run("good", ["exec", "--", "true"]).run();
    output.assert_code(0).assert_within(SOON);
    assert_eq!(ci.record_of("good").status, "success", "{output}");
}
