//! The collector as a whole: the pages beside the API, behind the same tokens, with the same end.

use super::support::{EXAMPLE, PATIENCE, post, read_answer};
use crate::access::{Access, Rights, TokenFile};
use crate::request::Limits;
use crate::server::{Collector, Options};
use chrono::Utc;
use pipefold::Judge;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs `test` with the address of a collector, and a way to end it.
fn with_collector(dir: &Path, test: impl FnOnce(&str, oneshot::Sender<()>)) {
    let options = Options {
        data_dir: dir.to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        behind_proxy: false,
        public_url: None,
        limits: Limits::default(),
        forward: None,
        keep: Some(Duration::from_secs(3600)),
        stale_after: Duration::from_secs(3600),
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
