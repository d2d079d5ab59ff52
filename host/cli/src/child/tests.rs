//! Tests with real processes and real signals to this one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command as Plain, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::command::{SpawnError, WrappedCommand};
use super::running::Ended;
use super::{Forwarding, ReceivedSignal};

/// A time that no test reaches.
const FAR: Duration = Duration::from_secs(300);

/// Signals go to the whole test process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shell's script, in which `$WAIT` waits for the file `over` in `$DIR`, but not for ever, and handles signals meanwhile.
fn sh(script: &str) -> WrappedCommand {
    let wait = "n=0; until test -e $DIR/over || test $((n+=1)) -gt 3000; do sleep 0.01; done";
    WrappedCommand::new(["sh", "-c", &script.replace("$WAIT", wait)])
}

/// Runs a script, and does `act` once the script has made the file `ready` in a fresh directory, its `$DIR`.
fn run(script: &str, act: impl FnOnce(Pid, &Path) + Send) -> (Ended, Vec<ReceivedSignal>, String) {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut running = sh(script).env_set("DIR", dir.path()).spawn().unwrap();
    let child = running.pid();
    let mut seen = Vec::new();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| dir.path().join("ready").exists());
            act(child, dir.path());
        });
        running
            .wait(|signal| seen.push(signal), FAR, || panic!("the grace is far"))
            .unwrap()
    });
    (
        ended,
        seen,
        fs::read_to_string(dir.path().join("out")).unwrap_or_default(),
    )
}

fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn code(script: &str) -> u8 {
    let _alone = alone();
    sh(script).spawn().unwrap().wait(|_| (), FAR, || ()).unwrap().code
}

#[test]
fn exit_codes_pass_through() {
    for wanted in [0, 1, 3, 126, 255] {
        assert_eq!(code(&format!("exit {wanted}")), wanted);
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let _alone = alone();
    let ended = sh("kill -KILL $$").spawn().unwrap().wait(|_| (), FAR, || ()).unwrap();
    assert_eq!(ended.code, 137);
    assert!(ended.interrupted.is_none());
}

#[test]
fn the_wait_ends_for_commands_that_end_at_once() {
    for _ in 0..200 {
        assert_eq!(code("exit 7"), 7);
    }
}

#[test]
fn the_duration_spans_the_command() {
    let _alone = alone();
    let ended = sh("sleep 0.2").spawn().unwrap().wait(|_| (), FAR, || ()).unwrap();
    assert!(ended.duration >= Duration::from_millis(200), "{:?}", ended.duration);
}

#[test]
fn the_environment_has_what_was_set_and_not_what_was_removed() {
    let _alone = alone();
    let mut command = sh(r#"test -z "${HOME+x}" && test -n "$PATH" && test "$NAMED" = "a b""#);
    let ended = command
        .env_remove("HOME")
        .env_set("NAMED", "a b")
        .spawn()
        .unwrap()
        .wait(|_| (), FAR, || ())
        .unwrap();
    assert_eq!(ended.code, 0);
}

#[test]
fn a_signal_reaches_a_command_that_handles_it() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
    ] {
        let script = format!("trap 'echo {name} >$DIR/out; exit 5' {name}; >$DIR/ready; $WAIT");
        let (ended, seen, out) = run(&script, |_, _| kill_process(getpid(), signal).unwrap());
        assert_eq!((ended.code, out.as_str()), (5, format!("{name}\n").as_str()));
        let first = ended.interrupted.unwrap();
        assert_eq!(
            (first.signal, first.name(), first.forwarding),
            (signal.as_raw(), &*format!("SIG{name}"), Forwarding::Forwarded)
        );
        assert_eq!(first.sender, Some(getpid().as_raw_nonzero().get()));
        assert_eq!(seen, [first]);
    }
}

#[test]
fn a_command_that_handles_none_dies_of_it() {
    let (ended, ..) = run(">$DIR/ready; exec sleep 60", |_, _| {
        kill_process(getpid(), Signal::TERM).unwrap()
    });
    assert_eq!(ended.code, 143);
}

#[test]
fn the_second_signal_is_forwarded_and_the_first_remembered() {
    let script = "trap 'echo INT >>$DIR/out' INT; trap 'echo TERM >>$DIR/out; exit 0' TERM; >$DIR/ready; $WAIT";
    let (ended, seen, out) = run(script, |_, dir| {
        kill_process(getpid(), Signal::INT).unwrap();
        until(|| dir.join("out").exists());
        kill_process(getpid(), Signal::TERM).unwrap();
    });
    assert_eq!((ended.code, out.as_str()), (0, "INT\nTERM\n"));
    assert_eq!(ended.interrupted.unwrap().name(), "SIGINT");
    assert_eq!(
        seen.iter().map(ReceivedSignal::name).collect::<Vec<_>>(),
        ["SIGINT", "SIGTERM"]
    );
}

#[test]
fn a_command_that_ignores_the_signal_outlives_the_grace() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; >$DIR/ready; $WAIT; exit 4";
    let mut running = sh(script).env_set("DIR", dir.path()).spawn().unwrap();
    let mut called = 0;
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| dir.path().join("ready").exists());
            kill_process(getpid(), Signal::TERM).unwrap();
        });
        let on_grace = || {
            called += 1;
            fs::write(dir.path().join("over"), "").unwrap();
        };
        running.wait(|_| (), Duration::from_millis(50), on_grace).unwrap()
    });
    assert_eq!((ended.code, called), (4, 1));
    let first = ended.interrupted.unwrap();
    assert!(ended.duration >= first.after + Duration::from_millis(50));
}

#[test]
fn a_signal_before_the_wait_is_not_lost() {
    let _alone = alone();
    let mut running = sh("exec sleep 60").spawn().unwrap();
    kill_process(getpid(), Signal::TERM).unwrap();
    let ended = running.wait(|_| (), FAR, || ()).unwrap();
    assert_eq!(ended.code, 143);
}

#[test]
fn a_stopped_command_is_still_waited_for() {
    let (ended, ..) = run("trap 'exit 6' TERM; >$DIR/ready; $WAIT", |child, _| {
        kill_process(child, Signal::STOP).unwrap();
        kill_process(child, Signal::CONT).unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
    });
    assert_eq!(ended.code, 6);
}

#[test]
fn ignored_signals_stay_ignored_in_the_command() {
    // The inner run of this test was started with SIGHUP ignored, as by nohup.
    if std::env::var_os("PIPEFOLD_TEST_INNER").is_some() {
        assert_eq!(code("kill -HUP $$; exit 9"), 9);
        return;
    }
    assert_eq!(code("kill -HUP $$; exit 9"), 129);
    let inner = r#"trap '' HUP; exec "$0" --exact child::tests::ignored_signals_stay_ignored_in_the_command"#;
    let _alone = alone();
    let test = std::env::current_exe().unwrap();
    let output = Plain::new("sh")
        .args(["-c", inner])
        .arg(test)
        .env("PIPEFOLD_TEST_INNER", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_signal_of_the_terminal_is_not_sent_twice() {
    const NAME: &str = "child::tests::a_signal_of_the_terminal_is_not_sent_twice";
    if let Some(dir) = std::env::var_os("PIPEFOLD_TEST_INNER") {
        let script = "trap 'echo INT >>$DIR/out' INT; >$DIR/ready; $WAIT";
        let mut seen = Vec::new();
        let mut running = sh(script).env_set("DIR", &dir).spawn().unwrap();
        running
            .wait(
                |signal| {
                    seen.push((signal.name(), signal.sender, signal.forwarding));
                    // Time for a second one to arrive, were it sent.
                    std::thread::sleep(Duration::from_millis(200));
                    fs::write(Path::new(&dir).join("over"), "").unwrap();
                },
                FAR,
                || (),
            )
            .unwrap();
        assert_eq!(seen, [("SIGINT", None, Forwarding::HasIt)]);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // script(1) gives the inner run a terminal, and turns ^C on its own input into the terminal's SIGINT.
    let mut script = Plain::new("script")
        .args([
            "-qec",
            // exec: a shell that stays would get the SIGINT too, and end with it.
            r#"exec "$INNER_TEST" --exact "$INNER_NAME" --nocapture"#,
            "/dev/null",
        ])
        .env("SHELL", "/bin/sh")
        .env("INNER_TEST", std::env::current_exe().unwrap())
        .env("INNER_NAME", NAME)
        .env("PIPEFOLD_TEST_INNER", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) of util-linux, or bsdutils on Debian");
    let mut keyboard = script.stdin.take().unwrap();
    until(|| dir.path().join("ready").exists());
    std::io::Write::write_all(&mut keyboard, b"\x03").unwrap();
    let output = script.wait_with_output().unwrap();
    drop(keyboard);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fs::read_to_string(dir.path().join("out")).unwrap(), "INT\n");
}

#[test]
fn after_the_end_a_signal_ends_this_process_with_the_commands_code() {
    const NAME: &str = "child::tests::after_the_end_a_signal_ends_this_process_with_the_commands_code";
    if std::env::var_os("PIPEFOLD_TEST_INNER").is_some() {
        let mut running = sh("exit 42").spawn().unwrap();
        let ended = running.wait(|_| (), FAR, || ()).unwrap();
        running.exit_on_signal(ended.code, Duration::from_millis(10));
        kill_process(getpid(), Signal::TERM).unwrap();
        std::thread::sleep(FAR);
    }
    let inner = Plain::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env("PIPEFOLD_TEST_INNER", "1")
        .output()
        .unwrap();
    assert_eq!(inner.status.code(), Some(42));
}

fn refused(argv: &[&str]) -> (u8, String) {
    let error: SpawnError = WrappedCommand::new(argv).spawn().expect_err("it cannot run");
    (error.code(), error.to_string())
}

#[test]
fn a_command_that_cannot_start_has_the_code_of_a_shell() {
    let _alone = alone();
    assert_eq!(
        refused(&["no-such\x1b[31m-program"]),
        (127, r#"cannot run "no-such\u{1b}[31m-program": not found"#.into())
    );
    assert_eq!(
        refused(&[""]),
        (127, r#"cannot run "": not found; the command is empty"#.into())
    );
    assert_eq!(refused(&[]).0, 127);
    for (program, hint) in [("make test", "sh -c"), ("FOO=1", "env NAME=VALUE"), ("cd", "sh -c")] {
        let (code, message) = refused(&[program]);
        assert!(code == 127 && message.contains(hint), "{message}");
    }
    let (code, message) = refused(&["/"]);
    assert!(code == 126 && message.ends_with("; it is a directory"), "{message}");
}

#[test]
fn files_that_may_not_or_cannot_run() {
    // Also because a process started meanwhile would hold the files open for writing for a moment, and such files do not run.
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (code, message) = refused(&[&file("plain", b"#!/bin/sh\n", 0o644)]);
    assert!(code == 126 && message.contains("chmod +x"), "{message}");
    let (code, message) = refused(&[&file("lost", b"#!/no/such/interpreter\n", 0o755)]);
    assert!(code == 127 && message.contains("interpreter"), "{message}");
    let (code, message) = refused(&[&file("binary", b"\x7fXYZ\0\0\0", 0o755)]);
    assert!(code == 126 && message.contains("first line"), "{message}");

    let script = file("script", b"exit $1\n", 0o755);
    let ended = WrappedCommand::new([&script, "11"])
        .spawn()
        .unwrap()
        .wait(|_| (), FAR, || ())
        .unwrap();
    assert_eq!(
        ended.code, 11,
        "a script without a first line that names its interpreter runs, as in a shell"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_private_process_is_not_dumpable() {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
    super::make_private();
    let now = dumpable_behavior().unwrap();
    // The other tests of this process may read their own `/proc` entry.
    set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
    assert_eq!(now, DumpableBehavior::NotDumpable);
}
