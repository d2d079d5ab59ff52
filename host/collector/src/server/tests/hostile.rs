//! Malformed requests, and requests that no client means.

use super::support::{Answer, EXAMPLE, PATIENCE, Setup, post, read_answer, start};
use crate::request::Limits;
use pipefold::dx::METHOD_PATH;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn path_tricks_lead_nowhere() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    for path in [
        "/api/%70ipelineRuns.upsert",
        "/api/x/../runs",
        "/api/%2e%2e/api/runs",
        "/api/runs/%2e%2e",
        "/api/runs/%00",
        "/api/runs/%ff",
        "/api/runs/..%2f..%2ftokens.json",
        "/api/runs/%",
        "/api/runs/;",
        "/tokens.json",
        "/api/runs/.",
    ] {
        assert_eq!(server.get(path, "").refusal(), (404, "not_found".into()), "{path}");
    }
    // Not even a path.
    for line in [
        "GET /\0 HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET * HTTP/1.1",
        "GET  HTTP/1.1",
        "x",
        "GET /api/runs HTTP/9.9",
    ] {
        let mut stream = server.connect();
        stream
            .write_all(format!("{line}\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())
            .unwrap();
        let answer = read_answer(&mut stream);
        assert!(
            answer
                .as_ref()
                .is_none_or(|answer| (400..=499).contains(&answer.status)),
            "{line}: {answer:?}"
        );
    }
    assert_eq!(server.get("/healthz", "").status, 200);
}

#[test]
fn sizes_on_both_sides_of_their_limits() {
    let server = start(Setup::default());
    let most = Limits::default().body_size;
    let padded = |size: usize| {
        let start = EXAMPLE.trim_end_matches('}').to_owned() + r#","x":""#;
        let fill = size - start.len() - 2;
        start + &"x".repeat(fill) + "\"}"
    };
    assert_eq!(server.upsert("", &padded(most)).status, 200);
    assert_eq!(
        server.upsert("", &padded(most + 1)).refusal(),
        (413, "request_too_large".into())
    );
    let chunked = |size: usize| {
        let (body, head) = (padded(size), "Transfer-Encoding: chunked\r\n");
        server.send(format!(
            "POST {METHOD_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        ))
    };
    assert_eq!(chunked(most).status, 200);
    assert_eq!(chunked(most + 1).refusal(), (413, "request_too_large".into()));
    let announced = format!("POST {METHOD_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(server.send(announced).refusal(), (413, "request_too_large".into()));
    for deep in [
        format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!(r#"{{"x":{}"#, r#"{"x":"#.repeat(10_000)),
    ] {
        assert_eq!(server.upsert("", &deep).refusal(), (400, "invalid_json".into()));
    }
}

#[test]
fn floods_of_headers_are_cut() {
    let server = start(Setup::default());
    let few: String = (0..40).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(server.get("/healthz", &few).status, 200);
    let many: String = (0..80).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(server.get("/healthz", &many).status, 431);
    let long = format!("X: {}\r\n", "x".repeat(64 * 1024));
    assert_eq!(server.get("/healthz", &long).status, 431);
    // An endless one is not read to its end.
    let mut stream = server.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let sent = (0..10_000)
        .take_while(|_| stream.write_all(line.as_bytes()).is_ok())
        .count();
    assert!(sent < 10_000, "10 MB were taken");
}

#[test]
fn conflicting_lengths_are_refused() {
    let server = start(Setup::default());
    let send = |headers: &str| {
        let mut stream = server.connect();
        let _ = stream
            .write_all(format!("POST {METHOD_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n{EXAMPLE}").as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_answer(&mut stream)
    };
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\r\n",
        "",
    ] {
        let answer = send(headers);
        assert!(
            answer.as_ref().is_none_or(|answer| answer.status >= 400),
            "{headers}: {answer:?}"
        );
    }
    assert_eq!(server.get("/api/runs", "").json()["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn drips_end() {
    let limits = Limits {
        head: Duration::from_millis(300),
        body: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = start(Setup {
        limits,
        ..Setup::default()
    });
    let begin = Instant::now();
    let drip = |whole: String, first: usize| -> Option<Answer> {
        let mut stream = server.connect();
        stream.write_all(&whole.as_bytes()[..first]).unwrap();
        for byte in &whole.as_bytes()[first..] {
            std::thread::sleep(Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() || begin.elapsed() > PATIENCE {
                break;
            }
        }
        read_answer(&mut stream)
    };
    let request = post("", EXAMPLE);
    assert!(
        drip(request.clone(), 5).is_none_or(|answer| answer.status == 408),
        "the head"
    );
    let body = request.find("\r\n\r\n").unwrap() + 4;
    if let Some(answer) = drip(request, body) {
        assert_eq!(answer.refusal(), (408, "request_timeout".into()));
    }
    let mut idle = server.connect();
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "a connection that says nothing");
    assert!(begin.elapsed() < PATIENCE);
    let counted = server.get("/metrics", "").body;
    assert!(
        counted.contains("{result=\"refused\"} 1\n") && counted.contains("{result=\"failed\"} 0\n"),
        "{counted}"
    );
    assert_eq!(server.get("/api/runs", "").json()["runs"].as_array().unwrap().len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]
    // Each case is a server and many requests.
    #[test]
    fn every_answer_has_ok(bodies in proptest::collection::vec(body(), 100)) {
        let server = start(Setup::default());
        let mut stream = server.connect();
        for (kind, body) in bodies {
            stream.write_all(&[post(&format!("Content-Type: {kind}\r\n"), "").replace("Length: 0", &format!("Length: {}", body.len())).into_bytes(), body.clone()].concat()).unwrap();
            let answer = read_answer(&mut stream).unwrap();
            let ok = answer.json()["ok"].as_bool();
            prop_assert_eq!(ok, Some(answer.status == 200), "{:?} to {:?}", answer, String::from_utf8_lossy(&body));
            prop_assert!(answer.status < 500);
        }
    }
}

fn body() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let kind = prop_oneof![
        Just("application/json"),
        Just("application/x-www-form-urlencoded"),
        Just("text/plain")
    ];
    let name = prop_oneof![
        Just("pipeline_name"),
        Just("pr_number"),
        Just("started_at"),
        Just("status"),
        Just("x")
    ];
    let value = prop_oneof![
        "\"[a-z\\\\\"]{0,5}\"",
        "[0-9]{1,20}",
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("\"2025-01-01\"".to_owned())
    ];
    let object = proptest::collection::vec((name, value), 0..5).prop_map(|pairs| {
        let required = r#""pipeline_source":"s","reference_id":"r""#.to_owned();
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name:?}:{value}"));
        format!("{{{}}}", pairs.chain([required]).collect::<Vec<_>>().join(",")).into_bytes()
    });
    let body = prop_oneof![2 => object, 1 => proptest::collection::vec(any::<u8>(), 0..200)];
    (kind, body)
}
