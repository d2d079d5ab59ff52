//! The orders in which agents end a job, as their sources have them, with real processes: each must leave a run that is cancelled.
//! `PIPEFOLD_ROUNDS` plays each more often.

use std::path::Path;
use std::time::Duration;

use pipefold_tests::{Ci, Mode, RUN, Running, binary, eventually};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

fn rounds() -> u32 {
    let asked = std::env::var("PIPEFOLD_ROUNDS");
    asked.ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// A script of the job's shell, which runs `exec` around a command that makes a file when it is ready.
fn job(ci: &Ci, command: &str, after: &str) -> Running {
    let exec = format!(
        "{} exec --pipeline-name p --pipeline-source s --reference-id {RUN} -- {command}{after}",
        binary("pipefold").display()
    );
    let running = ci
        .program("/bin/sh")
        .args(["-c", &exec])
        .env("RUNNER_TRACKING_ID", "github_1")
        .spawn();
    let ready = ci.workspace().join("ready");
    eventually("the command is ready", || ready.exists());
    running
}

fn children(pid: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Waits for the second child of pipefold, by which it notices a signal to the group; it is there 20 ms after the command.
fn until_it_has_both(pipefold: i32) {
    eventually("pipefold has its second child", || children(pipefold).len() == 2);
}

fn send(pid: i32, signal: Signal) {
    // It may have ended meanwhile.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// `killRecursively` of Jenkins' ProcessTree: children first, and each is waited for, 10 ms at least.
fn kill_as_jenkins(pid: i32, running: &mut Running) {
    for child in children(pid) {
        kill_as_jenkins(child, running);
    }
    send(pid, Signal::TERM);
    for _ in 0..500 {
        // The agent is the parent of the job's shell, and reaps it.
        running.has_ended();
        if !Path::new(&format!("/proc/{pid}/status")).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn jenkins_ends_children_first() {
    for _ in 0..rounds() {
        for command in [
            // As make does, and as a command that handles nothing.
            "sh -c 'sleep 60 & touch ready; wait $!; echo Terminated >&2; exit 2'",
            "sh -c 'touch ready; exec sleep 60'",
        ] {
            let ci = Ci::new();
            let mut running = job(&ci, command, "; true");
            let shell = i32::try_from(running.id()).unwrap();
            until_it_has_both(children(shell)[0]);
            kill_as_jenkins(shell, &mut running);
            let output = running.wait();
            assert_eq!(ci.record().status, "cancelled", "{command}: {output}");
        }
    }
}

#[test]
fn a_shell_that_ends_well_after_its_command_was_killed_is_cancelled() {
    let ci = Ci::new();
    // DX is as far away as it is from most runners: the signal to pipefold comes before the answer.
    ci.dx.set_mode(Mode::Slow(Duration::from_millis(500)));
    let mut running = job(&ci, "sh -c 'sleep 60 & touch ready; wait; exit 0'", "; true");
    let shell = i32::try_from(running.id()).unwrap();
    until_it_has_both(children(shell)[0]);
    kill_as_jenkins(shell, &mut running);
    let output = running.wait();
    assert_eq!(ci.record().status, "cancelled", "{output}");
    assert!(output.stderr().contains("cancelled"), "{output}");
}

#[test]
fn github_and_azure_end_the_shell_and_then_what_has_their_mark() {
    for _ in 0..rounds() {
        let ci = Ci::new();
        let running = job(&ci, "sh -c 'touch ready; exec sleep 60'", "; true");
        let shell = i32::try_from(running.id()).unwrap();
        let pipefold = children(shell)[0];
        let command = children(pipefold)[0];
        send(shell, Signal::INT);
        // The agents leave some time between the two signals.
        std::thread::sleep(Duration::from_millis(20));
        send(shell, Signal::TERM);
        let ended = std::thread::spawn(move || running.wait());
        eventually("the shell has ended", || !Path::new(&format!("/proc/{shell}")).exists());
        // An agent without root's rights cannot read that of pipefold, which keeps its token to itself.
        let environment = std::fs::read(format!("/proc/{command}/environ")).unwrap();
        assert!(String::from_utf8_lossy(&environment).contains("RUNNER_TRACKING_ID=github_1"));
        send(command, Signal::KILL);
        // It waits until pipefold too has closed its output.
        let output = ended.join().unwrap();
        assert_eq!(ci.record().status, "cancelled", "{output}");
    }
}

#[test]
fn a_command_that_breaks_down_under_its_shell_is_a_failure() {
    let ci = Ci::new();
    let running = job(&ci, "sh -c 'touch ready; kill -9 $$'", "; true");
    running.wait().assert_code(0);
    assert_eq!(ci.record().status, "failure");
    // And a program's own fault is one also where the shell has gone, as under nohup.
    let ci = Ci::new();
    let script = "sh -c 'touch ready; until [ -e go ]; do sleep 0.02; done; kill -SEGV $$'";
    let running = job(&ci, script, " & sleep 0.2");
    let shell = running.id();
    let ended = std::thread::spawn(move || running.wait());
    eventually("the shell has ended", || !Path::new(&format!("/proc/{shell}")).exists());
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    drop(ended.join());
    eventually("the run has ended", || ci.record().finished_at.is_some());
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn docker_stop_leaves_the_cancellation_on_disk_long_before_it_kills() {
    for _ in 0..rounds() {
        let ci = Ci::new();
        // The time in which it could be sent is far off.
        ci.budgets(300, 1000, 60_000);
        ci.dx.set_mode(Mode::RefuseConnections);
        let running = super::start(&ci, "trap '' TERM; touch ready; until [ -e go ]; do sleep 0.02; done");
        running.signal(Signal::TERM);
        eventually("the cancellation is on disk", || super::is_recorded_as_cancelled(&ci));
        running.signal(Signal::KILL);
        std::fs::write(ci.workspace().join("go"), "").unwrap();
        assert_eq!(running.wait().signal, Some(9));
        ci.dx.set_mode(Mode::Normal);
        ci.pipefold(["flush"]).run().assert_code(0);
        assert_eq!(ci.record().status, "cancelled");
    }
}

#[test]
fn a_signal_to_the_group_reaches_the_command_once() {
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::QUIT, "QUIT")] {
        for _ in 0..rounds() {
            let ci = Ci::new();
            let running = ci
                .report(["exec", "-vv", "--", "sh", "-c"])
                .args([format!(
                    "trap 'echo {name} >>got' {name}; touch ready; until [ -e go ]; do sleep 0.02; done"
                )])
                .spawn();
            let ready = ci.workspace().join("ready");
            eventually("the command is ready", || ready.exists());
            // It was started as the leader of a group of its own.
            let pipefold = i32::try_from(running.id()).unwrap();
            until_it_has_both(pipefold);
            kill_process_group(Pid::from_raw(pipefold).unwrap(), signal).unwrap();
            let got = ci.workspace().join("got");
            eventually("the signal arrives", || got.exists());
            // Time for a second signal, which must not come.
            std::thread::sleep(Duration::from_millis(100));
            std::fs::write(ci.workspace().join("go"), "").unwrap();
            let output = running.wait();
            assert_eq!(std::fs::read_to_string(got).unwrap(), format!("{name}\n"));
            let said = output.stderr();
            assert!(said.contains("HasIt") && !said.contains("Forwarded"), "{output}");
            assert_eq!(ci.record().status, "cancelled");
        }
    }
}

#[test]
fn signals_for_the_command_alone_reach_it_and_cancel_nothing() {
    // SIGRTMIN + 3, which has no name here.
    const REALTIME: i32 = 37;
    let named = [
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::POWER,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::PIPE,
        Signal::ABORT,
        Signal::WINCH,
        Signal::CONT,
    ];
    for number in named.map(Signal::as_raw).into_iter().chain([REALTIME]) {
        let ci = Ci::new();
        let running = super::start(
            &ci,
            &format!("trap 'echo x >>got' {number}; touch ready; until [ -e go ]; do sleep 0.02; done"),
        );
        let got = ci.workspace().join("got");
        let kill = format!("kill -{number} {}", running.id());
        let sent = std::process::Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
        eventually("the signal arrives", || got.exists());
        std::fs::write(ci.workspace().join("go"), "").unwrap();
        running.wait().assert_code(0);
        assert_eq!(std::fs::read_to_string(got).unwrap(), "x\n", "{number}");
        assert_eq!(ci.record().status, "success", "{number}");
    }
}

#[test]
fn a_job_that_is_stopped_stops_with_its_command_and_goes_on_with_it() {
    // Whether a signal was the group's is seen within 10 ms, which a busy machine may not give.
    assert!(
        (0..3).any(|_| stops_and_goes_on()),
        "signals were not told from the group's"
    );
}

/// Stops a job and continues it by signals to pipefold alone and to the group. Returns true if each was known for what it was.
fn stops_and_goes_on() -> bool {
    let ci = Ci::new();
    // Without children: a shell that is stopped while it starts one is in the state D.
    let script = "trap 'echo x >>continued' CONT; mkfifo go; exec 3<>go; touch ready; until read line <&3; do :; done";
    let running = ci.report(["exec", "-vv", "--", "sh", "-c", script]).spawn();
    let ready = ci.workspace().join("ready");
    eventually("the command is ready", || ready.exists());
    let pipefold = i32::try_from(running.id()).unwrap();
    until_it_has_both(pipefold);
    let command = children(pipefold)[0];
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next()
    };
    let continued = ci.workspace().join("continued");
    let lines = || std::fs::read_to_string(&continued).unwrap_or_default().lines().count();
    let group = Pid::from_raw(pipefold).unwrap();
    let mut times = 0;
    for to_the_group in [false, true, false] {
        let send = |signal| match to_the_group {
            true => kill_process_group(group, signal).unwrap(),
            false => send(pipefold, signal),
        };
        for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            send(signal);
            eventually("both are stopped", || {
                state(pipefold) == Some('T') && state(command) == Some('T')
            });
            send(Signal::CONT);
            times += 1;
            eventually("the command goes on", || lines() >= times);
            until_it_has_both(pipefold);
            // Nothing shows that pipefold is done with the signal; a person is slower than this.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    std::fs::write(ci.workspace().join("go"), "\n").unwrap();
    let output = running.wait();
    output.assert_code(0);
    assert_eq!(ci.record().status, "success");
    ["SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"].iter().all(|name| {
        let times = |what: &str| {
            output
                .stderr()
                .matches(&format!("signal=\"{name}\" forwarding={what}"))
                .count()
        };
        let each = if *name == "SIGCONT" { 3 } else { 1 };
        assert_eq!(times("HasIt") + times("Forwarded"), 3 * each, "{name}: {output}");
        times("HasIt") == each
    })
}

#[test]
fn an_alarm_that_was_set_before_reaches_the_command() {
    // It survives exec, and the command would have had it: `perl -e 'alarm 1; exec @ARGV'` is an old way to set a limit.
    let ci = Ci::new();
    let fields = format!("--pipeline-name p --pipeline-source s --reference-id {RUN}");
    let script = format!(
        "exec perl -e 'alarm 1; exec @ARGV' {} exec {fields} -- sh -c 'trap \"exit 6\" ALRM; while :; do sleep 0.02; done'",
        binary("pipefold").display()
    );
    if std::process::Command::new("perl").arg("-v").output().is_err() {
        return pipefold_tests::skipped("an_alarm_that_was_set_before_reaches_the_command", "there is no perl");
    }
    ci.program("/bin/sh").args(["-c", &script]).run().assert_code(6);
}
