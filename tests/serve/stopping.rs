//! The end of a collector on a signal.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pipefold_tests::http::{connect, read_answer};
use pipefold_tests::{Collector, Mode, Standin, Times, eventually};
use rustix::process::Signal;
use serde_json::json;

const BODY: &str =
    r#"{"pipeline_name":"p","pipeline_source":"tests","reference_id":"under way","started_at":"2025-01-01T12:05:00"}"#;

/// Begins an upsert, and leaves the last bytes of its body unsent. Returns the connection and those bytes once the server asks for them.
fn half_an_upsert(collector: &Collector) -> (TcpStream, &'static str) {
    let (first, rest) = BODY.split_at(BODY.len() - 7);
    let mut stream = connect(collector.address).unwrap();
    let head = format!(
        "POST /api/pipelineRuns.upsert HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        collector.address,
        BODY.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Printed by the reader of the body.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).unwrap();
    (stream, rest)
}

#[test]
fn what_is_under_way_is_answered_and_kept_and_the_end_is_clean() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut collector = Collector::start(dir.path());
        let (mut under_way, rest) = half_an_upsert(&collector);
        let mut idle = connect(collector.address).unwrap();
        collector.signal(signal);
        eventually("nobody is let in any more", || {
            TcpStream::connect(collector.address).is_err()
        });
        assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "an idle connection ends");
        assert!(!collector.has_ended());
        under_way.write_all(rest.as_bytes()).unwrap();
        let answer = read_answer(&mut BufReader::new(under_way)).unwrap();
        assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
        let ended = collector.wait();
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{ended:?}");
        let lines: Vec<_> = ended.log.lines().filter(|line| line.contains("stopping")).collect();
        assert_eq!(lines.len(), 1, "{}", ended.log);
        let next = collector.again();
        assert_eq!(next.client().get("/api/runs/under%20way").status, 200);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(dir.path());
    assert_eq!(
        collector
            .client()
            .upsert(&serde_json::from_str(&BODY.replace("under way", "kept")).unwrap())
            .unwrap()
            .status,
        200
    );
    let (mut under_way, _) = half_an_upsert(&collector);
    collector.signal(Signal::TERM);
    eventually("nobody is let in any more", || {
        TcpStream::connect(collector.address).is_err()
    });
    let begin = Instant::now();
    collector.signal(Signal::TERM);
    let ended = collector.wait();
    assert!(begin.elapsed() < Duration::from_secs(6), "{ended:?}");
    // The shell's exit code for an end by SIGTERM.
    assert_eq!(ended.code, Some(128 + 15), "{ended:?}");
    assert_eq!(under_way.read(&mut [0]).unwrap_or(0), 0, "it is cut");
    let next = collector.again();
    assert_eq!(next.client().get("/api/runs/kept").status, 200);
    assert_eq!(next.client().get("/api/runs/under%20way").status, 404);
}

#[test]
fn neither_a_client_nor_dx_can_hold_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let dx = Standin::start();
    dx.misbehave(Mode::Hang, Times::Always);
    let token = dir.path().join("token");
    std::fs::write(&token, dx.token()).unwrap();
    let arguments = ["--forward-to", &dx.url(), "--token-file", &token.to_string_lossy()].map(str::to_owned);
    let mut collector = Collector::start_with(&dir.path().join("data"), &arguments);
    assert_eq!(
        collector
            .client()
            .upsert(&serde_json::from_str(BODY).unwrap())
            .unwrap()
            .status,
        200
    );
    assert!(dx.wait_until(Duration::from_secs(30), |dx| dx.requests().len() == 1));
    let (_under_way, _) = half_an_upsert(&collector);
    let begin = Instant::now();
    collector.signal(Signal::TERM);
    let ended = collector.wait();
    // Container engines kill ten seconds after they asked. The bound leaves room for a busy machine.
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}: {ended:?}",
        begin.elapsed()
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // What DX did not answer for waits for the next start.
    dx.set_mode(Mode::Normal);
    let _next = collector.again();
    assert!(dx.wait_until(Duration::from_secs(30), |dx| dx.records().contains_key("under way")));
}

#[test]
fn a_hangup_from_a_service_manager_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    collector.signal(Signal::HUP);
    eventually("it says what becomes of it", || {
        collector.log().contains("SIGHUP: tokens, certificates")
    });
    assert_eq!(collector.client().get("/healthz").status, 200);
    collector.stop();
}
