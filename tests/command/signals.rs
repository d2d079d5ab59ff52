//! SIGTERM and SIGINT: the command gets them, DX gets `cancelled`, and the exit code stays the command's.

mod agents;
mod inherited;

use std::time::Duration;

use pipefold_tests::{Ci, Mode, RUN, Running, eventually};
use rustix::process::Signal;

/// Starts `exec` around a script that makes a file when it is ready.
fn start(ci: &Ci, script: &str) -> Running {
    let running = ci.exec(["sh", "-c", script]).spawn();
    let ready = ci.workspace().join("ready");
    eventually("the command is ready", || ready.exists());
    running
}

fn is_recorded_as_cancelled(ci: &Ci) -> bool {
    Ci::files(&ci.spool()).iter().any(|(path, content)| {
        // Under another name it is still being written.
        path.extension().is_some_and(|extension| extension == "json")
            && String::from_utf8_lossy(content).contains("cancelled")
    })
}

/// A loop that lets a trap run soon.
const FOREVER: &str = "touch ready; while :; do sleep 0.02; done";

#[test]
fn the_command_gets_the_signal_and_its_exit_code_is_passed_on() {
    for (signal, name, code) in [(Signal::TERM, "TERM", 7), (Signal::INT, "INT", 9)] {
        let ci = Ci::new();
        let running = start(&ci, &format!("trap 'echo got {name}; exit {code}' {name}; {FOREVER}"));
        running.signal(signal);
        let output = running.wait();
        output.assert_code(code);
        assert_eq!(output.stdout(), format!("got {name}\n"));
        let record = ci.record();
        assert_eq!(record.status, "cancelled", "{name}\n{output}");
        assert!(record.finished_at.is_some(), "{record:?}");
    }
}

#[test]
fn a_command_that_dies_of_it_gives_128_and_its_number() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let ci = Ci::new();
        let running = start(&ci, "touch ready; exec sleep 60");
        running.signal(signal);
        let output = running.wait();
        output.assert_code(code);
        assert_eq!(ci.record().status, "cancelled", "{output}");
    }
}

#[test]
fn a_command_that_ends_well_after_it_was_cancelled_all_the_same() {
    let ci = Ci::new();
    let running = start(&ci, &format!("trap 'exit 0' TERM; {FOREVER}"));
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    assert_eq!(ci.record().status, "cancelled");
}

#[test]
fn a_command_that_ignores_it_is_recorded_as_cancelled_before_it_ends() {
    let ci = Ci::new();
    ci.budgets(1000, 5000, 300);
    let mut running = start(
        &ci,
        "trap '' TERM; touch ready; until [ -e go ]; do sleep 0.02; done; exit 5",
    );
    running.signal(Signal::TERM);
    // A CI system would kill both by now: all output for it must come before.
    let told = ci.dx.wait_until(Duration::from_secs(20), |dx| {
        dx.records().get(RUN).is_some_and(|record| record.status == "cancelled")
    });
    assert!(told, "{:?}", ci.dx.records());
    assert!(!running.has_ended(), "the command is never killed");
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(5);
    let record = ci.record();
    assert_eq!(record.status, "cancelled");
    assert!(record.finished_at.is_some(), "{record:?}");
}

#[test]
fn killed_after_the_grace_it_has_left_the_cancellation_behind() {
    let ci = Ci::new();
    ci.budgets(300, 1000, 200);
    ci.dx.set_mode(Mode::RefuseConnections);
    let running = start(&ci, "trap '' TERM; touch ready; until [ -e go ]; do sleep 0.02; done");
    running.signal(Signal::TERM);
    eventually("the cancellation is on disk", || is_recorded_as_cancelled(&ci));
    running.signal(Signal::KILL);
    // What it ran is ours to end.
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    assert_eq!(running.wait().signal, Some(9));

    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.record().status, "cancelled");
    assert!(ci.record().finished_at.is_some());
}

#[test]
fn a_step_leaves_its_cancellation_on_disk_when_the_signal_comes() {
    let ci = Ci::new();
    let script = "trap '' TERM; touch ready; until [ -e go ]; do sleep 0.02; done";
    let running = ci.report(["step", "--step", "s", "--", "sh", "-c", script]).spawn();
    let ready = ci.workspace().join("ready");
    eventually("the command is ready", || ready.exists());
    running.signal(Signal::TERM);
    eventually("the cancellation is on disk", || is_recorded_as_cancelled(&ci));
    running.signal(Signal::KILL);
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    assert_eq!(running.wait().signal, Some(9));
    ci.report(["finish"]).run().assert_code(0);
    assert_eq!(ci.record().status, "cancelled");
}

#[test]
fn a_second_signal_reaches_the_command_too() {
    let ci = Ci::new();
    let running = start(
        &ci,
        &format!("trap 'echo INT; touch one' INT; trap 'echo TERM; exit 6' TERM; {FOREVER}"),
    );
    running.signal(Signal::INT);
    let one = ci.workspace().join("one");
    eventually("the first signal arrives", || one.exists());
    running.signal(Signal::TERM);
    let output = running.wait();
    output.assert_code(6);
    assert_eq!(output.stdout(), "INT\nTERM\n");
    assert_eq!(ci.record().status, "cancelled");
}

#[test]
fn with_dx_hanging_the_end_comes_soon_after_the_signal() {
    let ci = Ci::new();
    // Were the finish budget used, this would take half a minute.
    ci.budgets(500, 30_000, 500);
    ci.dx.set_mode(Mode::Hang);
    let running = start(&ci, &format!("trap 'exit 8' TERM; {FOREVER}"));
    running.signal(Signal::TERM);
    running.wait().assert_code(8).assert_within(Duration::from_secs(20));
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.record().status, "cancelled");
}

#[test]
fn a_signal_while_only_delivery_is_left_ends_it_with_the_commands_code() {
    let ci = Ci::new();
    ci.budgets(500, 30_000, 300);
    ci.dx.set_mode(Mode::Hang);
    let running = start(&ci, "touch ready; exit 3");
    // The request of the finish is on its way when there are two, or one with `failure`.
    let finish_sent = |body: serde_json::Value| body["status"] == "failure";
    assert!(ci.dx.wait_until(Duration::from_secs(20), |dx| {
        dx.requests().iter().any(|request| finish_sent(request.json()))
    }));
    running.signal(Signal::TERM);
    running.wait().assert_code(3).assert_within(Duration::from_secs(20));
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.record().status, "failure", "the command had ended by itself");
}

#[test]
fn a_finish_that_is_killed_while_it_delivers_is_on_disk() {
    for signal in [Signal::TERM, Signal::KILL] {
        let ci = Ci::new();
        ci.dx.set_mode(Mode::Hang);
        let running = ci.report(["finish", "--status", "success"]).spawn();
        assert!(
            ci.dx
                .wait_until(Duration::from_secs(20), |dx| !dx.requests().is_empty())
        );
        running.signal(signal);
        assert_eq!(running.wait().signal, Some(signal.as_raw()));
        ci.dx.set_mode(Mode::Normal);
        ci.pipefold(["flush"]).run().assert_code(0);
        assert_eq!(ci.record().status, "success");
    }
}

#[test]
fn an_ignored_signal_stays_ignored() {
    // As under nohup: a signal that is ignored at the start is meant for the command.
    let ci = Ci::new();
    let pipefold = pipefold_tests::binary("pipefold");
    let script = format!(
        "trap '' HUP; exec {} exec --pipeline-name p --pipeline-source s --reference-id {RUN} -- \
         sh -c 'touch ready; until [ -e go ]; do sleep 0.02; done; exit 4'",
        pipefold.display()
    );
    let running = ci.program("/bin/sh").args(["-c", &script]).spawn();
    let ready = ci.workspace().join("ready");
    eventually("the command is ready", || ready.exists());
    running.signal(Signal::HUP);
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(4);
    assert_eq!(ci.record().status, "failure", "it was never cancelled");
}
