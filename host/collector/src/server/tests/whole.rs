//! The whole server: the page's example, pages and feeds beside the API, and the end.

use super::support::{EXAMPLE, PATIENCE, Setup, post, read_answer, start};
use crate::access::{Access, Rights, TokenFile};
use crate::request::Limits;
use crate::server::{Collector, Options};
use chrono::Utc;
use pipefold::Judge;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs `test` with the address of a collector, and a way to end it.
fn with_collector(dir: &Path, test: impl FnOnce(&str, oneshot::Sender<()>)) {
    with_collector_at(dir, None, test);
}

/// Runs it with an external address.
fn with_collector_at(dir: &Path, public_url: Option<&str>, test: impl FnOnce(&str, oneshot::Sender<()>)) {
    let options = Options {
        data_dir: dir.to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        behind_proxy: false,
        public_url: public_url.map(|url| url.parse().unwrap()),
        limits: Limits::default(),
        forward: None,
        keep: Some(Duration::from_secs(3600)),
        stale_after: Duration::from_secs(3600),
        forges: Vec::new(),
        sources: Vec::new(),
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let collector = runtime
        .block_on(Collector::bind(options, Arc::new(Judge::default())))
        .unwrap();
    let url = collector.url();
    let (stop, stopped) = oneshot::channel();
    let serving = runtime.spawn(collector.run(async {
        let _ = stopped.await;
    }));
    test(url.strip_prefix("http://").unwrap(), stop);
    runtime.block_on(serving).unwrap();
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn status(address: &str, request: &str) -> u16 {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream).unwrap().status
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n")
}

#[test]
fn below_a_path_all_links_have_it_and_all_addresses_work() {
    let dir = tempfile::tempdir().unwrap();
    with_collector_at(dir.path(), Some("https://ci.example/tools/runs"), |address, _stop| {
        let ask = |path: &str| {
            let mut stream = connect(address);
            stream.write_all(get(path, "Accept: text/html\r\n").as_bytes()).unwrap();
            read_answer(&mut stream).unwrap()
        };
        let upsert = post("", EXAMPLE).replace(" /api/", " /tools/runs/api/");
        assert_eq!(status(address, &upsert), 200);
        let run = "/runs/AA713E04-1880-4E17-8C49-4A41733DAFCF";
        for path in ["/", "/pipelines", run, "/runs/none", "/hooks"] {
            // The proxy takes the path off, or leaves it there.
            let (with, without) = (ask(&format!("/tools/runs{path}")), ask(path));
            assert_eq!(with.status, without.status, "{path}");
            let links: Vec<&str> = without.body.split(" href=\"/").skip(1).collect();
            assert!(
                links.len() > 5 && links.iter().all(|link| link.starts_with("tools/runs/")),
                "{path}"
            );
        }
        assert_eq!(ask("/tools/runs/api/runs").status, 200);
        assert!(ask("/").body.contains(&format!("href=\"/tools/runs{run}\"")));
    });
}

#[test]
fn pages_are_behind_the_same_tokens() {
    let dir = tempfile::tempdir().unwrap();
    with_collector(dir.path(), |address, _stop| {
        assert_eq!(status(address, &post("", EXAMPLE)), 200);
        for path in [
            "/",
            "/pipelines",
            "/runs/AA713E04-1880-4E17-8C49-4A41733DAFCF",
            "/api/runs",
        ] {
            assert_eq!(status(address, &get(path, "")), 200, "{path}");
        }
        let file = TokenFile::of(dir.path());
        let add = |name: &str, rights| {
            let access = Access::new(rights, vec!["*".parse().unwrap()]);
            let secret = file.add(name.parse().unwrap(), access, Utc::now()).unwrap();
            format!("Authorization: Bearer {}\r\n", secret.reveal())
        };
        let (reads, writes) = (add("reads", Rights::Read), add("writes", Rights::Write));
        for path in [
            "/",
            "/runs/x",
            "/pipelines",
            "/pipelines/x",
            "/events",
            "/api/runs",
            "/metrics",
        ] {
            assert_eq!(status(address, &get(path, "")), 401, "{path}");
            assert_eq!(
                status(address, &get(path, "Authorization: Bearer x\r\n")),
                401,
                "{path}"
            );
            assert_eq!(status(address, &get(path, &writes)), 403, "{path}");
        }
        assert_eq!(status(address, &get("/", &reads)), 200);
    });
}

#[test]
fn a_page_that_listens_hears_of_changes_and_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    with_collector(dir.path(), |address, stop| {
        let mut events = connect(address);
        events.write_all(get("/events", "").as_bytes()).unwrap();
        let mut text = String::new();
        let mut read_until = |wanted: &str| {
            while !text.contains(wanted) {
                let mut more = [0; 1024];
                let count = events.read(&mut more).unwrap();
                assert!(count > 0, "ended: {text}");
                text.push_str(&String::from_utf8_lossy(&more[..count]));
            }
        };
        read_until("text/event-stream");
        assert_eq!(status(address, &post("", EXAMPLE)), 200);
        read_until("data:");
        let begin = Instant::now();
        stop.send(()).unwrap();
        let mut rest = Vec::new();
        events.read_to_end(&mut rest).unwrap();
        assert!(
            begin.elapsed() < Limits::default().shutdown,
            "it was cut and did not end"
        );
    });
}

#[test]
fn the_curl_example_gives_its_record() {
    let server = start(Setup::default());
    // As curl sends it: the page's three headers, curl's own, and an unneeded token.
    let headers = "User-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Type: application/json\r\nAuthorization: Bearer xxxx-xxxxxxxxx-xxxx\r\n";
    let answer = server.upsert(headers, EXAMPLE);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"ok":true}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        server.record("AA713E04-1880-4E17-8C49-4A41733DAFCF"),
        json!({
            "pipeline_name": "build_panda_finder", "pipeline_source": "Tekton", "reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
            "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        })
    );
}

#[test]
fn the_merge_example_in_any_order_over_one_connection() {
    let steps = [
        r#""started_at":"2025-01-01T11:25:18","status":"running""#,
        r#""started_at":"2025-01-01T11:25:21","status":"success""#,
        r#""started_at":"2025-01-01T11:24:40","status":"failure""#,
        r#""started_at":"2025-01-01T11:25:21","status":"running""#,
        r#""started_at":"2025-01-01T11:26:07","finished_at":"2025-01-01T11:46:07","status":"success""#,
    ];
    let server = start(Setup::default());
    let mut stream = server.connect();
    for begin in 0..steps.len() {
        for at in 0..steps.len() {
            let step = steps[(begin + at) % steps.len()];
            let body =
                format!(r#"{{"pipeline_name":"test_run","pipeline_source":"x","reference_id":"r{begin}",{step}}}"#);
            stream.write_all(post("", &body).as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream).unwrap().json(), json!({ "ok": true }));
        }
        let record = server.record(&format!("r{begin}"));
        assert_eq!(record["started_at"], "2025-01-01T11:24:40Z");
        assert_eq!(record["finished_at"], "2025-01-01T11:46:07Z");
        assert_eq!(record["status"], "failure");
    }
}

#[test]
fn a_form_is_the_same_and_the_number_may_be_text() {
    let server = start(Setup::default());
    let form = "pipeline_name=a+b&pipeline_source=X&reference_id=form%2f1&started_at=2025-01-01T12:05:00%2b02:00&pr_number=3&repository=o/r";
    let answer = server.upsert(
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
        form,
    );
    assert_eq!(answer.json(), json!({ "ok": true }));
    let expected = json!({
        "pipeline_name": "a b", "pipeline_source": "X", "reference_id": "form/1", "started_at": "2025-01-01T10:05:00Z", "status": "unknown",
        "repository": "o/r", "pr_number": 3,
    });
    assert_eq!(server.record("form%2F1"), expected);
    let number = r#"{"pipeline_name":"a b","pipeline_source":"X","reference_id":"form/1","started_at":"2025-01-01T10:05:00","pr_number":"3",
        "repository":"o/r","branch":{"a":[1]},"email":null}"#;
    let answer = server.upsert("", number).json();
    let warning = "unknown arguments, which DX ignores: branch";
    assert_eq!(answer, json!({ "ok": true, "warnings": [warning] }));
    assert_eq!(server.record("form%2F1"), expected);
}

#[test]
fn what_is_under_way_is_answered_and_idle_connections_end() {
    let mut server = start(Setup::default());
    let request = post("", EXAMPLE);
    let (first, last) = request.split_at(request.len() - 5);
    let mut under_way = server.connect();
    under_way.write_all(first.as_bytes()).unwrap();
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut idle).unwrap().status, 200);
    server.ask_to_stop();
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
    let begin = Instant::now();
    while TcpStream::connect(server.address).is_ok() && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(TcpStream::connect(server.address).is_err(), "nothing new is taken");
    under_way.write_all(last.as_bytes()).unwrap();
    let answer = read_answer(&mut under_way).unwrap();
    assert_eq!(answer.status, 200);
    server.wait();
}

#[test]
fn what_does_not_end_is_cut() {
    let limits = Limits {
        shutdown: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut server = start(Setup {
        limits,
        ..Setup::default()
    });
    let mut stream = server.connect();
    stream.write_all(&post("", EXAMPLE).as_bytes()[..100]).unwrap();
    assert_eq!(server.get("/healthz", "").status, 200);
    server.ask_to_stop();
    let begin = Instant::now();
    server.wait();
    assert!(begin.elapsed() < Limits::default().body, "it did not wait for the body");
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}
