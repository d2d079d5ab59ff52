//! Events during a sync: DX is away, the disk is full, a user stops it.

use std::path::PathBuf;
use std::time::Duration;

use gocd_standin::{Fault, Generation, Times};
use pipefold_tests::{Ci, Mode, eventually};
use rustix::process::Signal;
use serde_json::Value;

use super::{gocd, names, pipelines, summary, sync};

#[test]
fn what_dx_does_not_take_waits_and_is_sent_by_the_next_one() {
    let (ci, gocd) = (Ci::new(), gocd(10, 1, Generation::Old));
    ci.dx.set_mode(Mode::RefuseConnections);
    let output = sync(&ci, &gocd, &["--timeout", "1s", "--json"]).run();
    output.assert_code(0);
    let waiting = summary(&output)["waiting"].as_u64().unwrap();
    assert!(
        waiting > 0 && output.stderr().contains("(`pipefold flush` sends what waits)"),
        "{output}"
    );
    sync(&ci, &gocd, &["--timeout", "1s", "--strict"]).run().assert_code(1);
    ci.dx.set_mode(Mode::Normal);
    sync(&ci, &gocd, &["--strict"]).run().assert_code(0);
    assert_eq!(names(&ci).len() as u64, waiting);
}

#[test]
fn a_full_spool_is_waited_for() {
    let (ci, gocd) = (Ci::new(), gocd(11, 8, Generation::Old));
    ci.operator("spool_limit = '60 KiB'\n");
    ci.dx.set_mode(Mode::RefuseConnections);
    let running = sync(&ci, &gocd, &[]).spawn();
    eventually("the spool is full", || ci.spool().join("full").exists());
    // Time to report the full spool a second time, which it must not.
    std::thread::sleep(Duration::from_millis(300));
    ci.dx.set_mode(Mode::Normal);
    let output = running.wait();
    output.assert_code(0);
    assert_eq!(
        output
            .stderr()
            .matches("reading goes on as soon as DX has taken something")
            .count(),
        1,
        "{output}"
    );
    let (whole, other) = (Ci::new(), names(&ci));
    sync(&whole, &gocd, &[]).run().assert_code(0);
    assert_eq!(names(&whole), other);
}

#[test]
fn a_damaged_state_is_set_aside_and_the_pipeline_read_again() {
    let (ci, gocd) = (Ci::new(), gocd(12, 1, Generation::New));
    sync(&ci, &gocd, &[]).run().assert_code(0);
    let state = states(&ci).remove(0);
    std::fs::write(&state, "{\"form\":").unwrap();
    let output = sync(&ci, &gocd, &["--json"]).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("it is damaged") && output.stderr().contains("is read again"),
        "{output}"
    );
    assert!(summary(&output)["runs"].as_u64().unwrap() > 0);
    assert!(state.exists());
}

/// The files with the position of each pipeline.
fn states(ci: &Ci) -> Vec<PathBuf> {
    let files = Ci::files(&ci.spool().join("gocd")).into_iter().map(|(path, _)| path);
    let is_state = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.len() == 37 && name.ends_with(".json")
    };
    files.filter(is_state).collect()
}

#[test]
fn watch_follows_and_ends_cleanly_and_one_process_reads_at_a_time() {
    let (ci, gocd) = (Ci::new(), gocd(13, 2, Generation::New));
    gocd.advance(0);
    let url = gocd.url();
    let watching = ci
        .pipefold(["gocd", "watch", "--server", &url, "--every", "1s"])
        .spawn();
    eventually("it asks", || gocd.requests() > 1);
    assert!(names(&ci).is_empty());
    let second = sync(&ci, &gocd, &[]).run();
    second.assert_code(1);
    assert!(
        second
            .stderr()
            .contains("another pipefold reads this GoCD server already"),
        "{second}"
    );
    gocd.advance(u64::MAX);
    let expected = {
        let whole = Ci::new();
        sync(&whole, &gocd, &[]).run().assert_code(0);
        names(&whole)
    };
    eventually("everything is told", || names(&ci).len() >= expected.len());
    watching.signal(Signal::TERM);
    let output = watching.wait();
    output.assert_code(0);
    assert!(output.stderr().contains("runs with news"), "{output}");
    assert_eq!(names(&ci), expected);
}

#[test]
fn watch_reports_a_failure_once_and_goes_on() {
    let (ci, gocd) = (Ci::new(), gocd(16, 2, Generation::Old));
    let pipeline = pipelines(&gocd).remove(0);
    let feed = format!("/{pipeline}/stages.xml");
    gocd.misbehave(Fault::LoginPage, Times::Always, &feed);
    let url = gocd.url();
    let watching = ci
        .pipefold(["gocd", "watch", "--server", &url, "--every", "1s"])
        .spawn();
    let rounds = || {
        gocd.log()
            .iter()
            .filter(|asked| asked.target.ends_with("/pipelines.xml"))
            .count()
    };
    eventually("three rounds", || rounds() > 3);
    gocd.behave();
    eventually("it is read again", || {
        names(&ci).iter().any(|name| name.contains(&format!("/{pipeline}/")))
    });
    watching.signal(Signal::TERM);
    let output = watching.wait();
    output.assert_code(0);
    assert_eq!(
        output.stderr().matches("was not read to its end").count(),
        1,
        "{output}"
    );
}

#[test]
fn a_stopped_sync_reports_it_and_the_next_goes_on() {
    let (ci, gocd) = (Ci::new(), gocd(14, 6, Generation::Old));
    gocd.misbehave(Fault::Slow(Duration::from_millis(30)), Times::Always, "/go/api");
    let running = sync(&ci, &gocd, &[]).spawn();
    eventually("it reads", || gocd.requests() > 10);
    running.signal(Signal::INT);
    let output = running.wait();
    output.assert_code(0);
    assert!(output.stderr().contains("stopped before the end"), "{output}");
    gocd.behave();
    sync(&ci, &gocd, &[]).run().assert_code(0);
    let whole = Ci::new();
    sync(&whole, &gocd, &[]).run().assert_code(0);
    let records = |ci: &Ci| {
        let without_count = |mut record: Value| {
            record["upserts"].take();
            record
        };
        let all = ci.dx.records().into_values();
        all.map(|record| without_count(record.to_json())).collect::<Vec<_>>()
    };
    assert_eq!(records(&ci), records(&whole));
}
