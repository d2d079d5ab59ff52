//! A collector under everything at once: it stays up, answers others, and does not grow. What each of these meets is tested where the limits
//! are, in the collector's own tests.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipefold_tests::Collector;
use pipefold_tests::http::{Answer, Client, connect};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

/// Memory of the process, in KiB. A debug build at rest takes some 40,000.
fn resident(collector: &Collector) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", collector.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// As many connections as are wanted, where the system lets this process have them.
fn idle(collector: &Collector, wanted: usize) -> Vec<TcpStream> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let free = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| limit as usize);
    let count = wanted.min(free.saturating_sub(200));
    (0..count).map(|_| connect(collector.address).unwrap()).collect()
}

/// Sends a piece again and again until the server has had enough, or the end.
fn send_on(collector: &Collector, head: &str, piece: &[u8], pause: Duration, over: &AtomicBool) {
    let mut stream = connect(collector.address).unwrap();
    let _ = stream.write_all(head.as_bytes());
    while !over.load(Ordering::Relaxed) && stream.write_all(piece).is_ok() {
        std::thread::sleep(pause);
    }
}

/// Ends the other threads, also when a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Requests that must be refused: the answer to each and the status that it must have. Each comes over a connection of its own.
fn refusals(collector: &Collector) -> Vec<(&'static str, Answer, u16)> {
    let post = |what, body: &[u8], status| {
        let ask = || {
            let mut client = collector.client();
            client.ask("POST", "/api/pipelineRuns.upsert", "application/json", body)
        };
        // A server that refuses a body before its end may cut the connection while this client still sends.
        let answer = (0..50).map(|_| ask()).find(Result::is_ok).unwrap_or_else(ask);
        (what, answer.unwrap_or_else(|why| panic!("{what}: {why}")), status)
    };
    let run =
        json!({ "pipeline_name": "p", "pipeline_source": "s", "reference_id": "hostile", "started_at": "2025-01-01" });
    let run = run.to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut all = vec![
        post("1 MiB and a byte", &vec![b' '; (1 << 20) + 1], 413),
        post(
            "depth",
            run.replacen('{', &format!("{{\"more\":{deep},"), 1).as_bytes(),
            400,
        ),
        post(
            "the same key twice",
            run.replacen('{', "{\"reference_id\":\"other\",", 1).as_bytes(),
            400,
        ),
        post("no text", &[0xff, 0xfe, 0x00], 400),
        post("nothing", b"", 400),
    ];
    let tricks = [
        "/api/../api/runs",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/runs/%2f%2f",
        "/api/runs/%00",
        "/runs/..%2f..%2ftokens.json",
    ];
    for path in tricks {
        all.push((path, collector.client().get(path), 404));
    }
    all
}

#[test]
fn everything_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(dir.path());
    let mut client = collector.client();
    let upsert = |client: &mut Client, number: u32| {
        let arguments = json!({
            "pipeline_name": "p", "pipeline_source": "tests", "reference_id": format!("run-{number}"), "started_at": "2025-01-01T12:05:00",
            "source_url": format!("https://ci.example/{}", "x".repeat(3000)),
        });
        assert_eq!(client.upsert(&arguments).unwrap().status, 200);
    };
    for number in 0..200 {
        upsert(&mut client, number);
    }
    // An address has 256 connections.
    let held = idle(&collector, 200);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (collector, over) = (&collector, &over);
        let _ends = Ends(over);
        let target = format!(
            "POST /api/pipelineRuns.upsert HTTP/1.1\r\nHost: {}\r\n",
            collector.address
        );
        for _ in 0..4 {
            let (drip, flood) = (format!("{target}Transfer-Encoding: chunked\r\n\r\n"), target.clone());
            scope.spawn(move || send_on(collector, &drip, b"1\r\n \r\n", Duration::from_millis(20), over));
            scope.spawn(move || send_on(collector, &flood, b"X-More: yes\r\n", Duration::ZERO, over));
        }
        // They ask for much, and read none of it.
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = connect(collector.address).unwrap();
                let ask = format!(
                    "GET /api/runs?limit=200 HTTP/1.1\r\nHost: {}\r\n\r\n",
                    collector.address
                )
                .repeat(20);
                stream.write_all(ask.as_bytes()).unwrap();
                stream
            })
            .collect();
        for number in 200..250 {
            upsert(&mut client, number);
            if number % 10 != 0 {
                continue;
            }
            for (what, answer, status) in refusals(collector) {
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
                if !what.starts_with("/runs") {
                    assert_eq!(answer.json()["ok"], false, "{what}");
                }
            }
        }
        drop(asking);
    });
    assert_eq!(
        client.get("/api/runs?limit=1&text=run-249").json()["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(client.get("/").status, 200);
    assert!(resident(&collector) < 250_000, "{} KiB", resident(&collector));
    assert!(
        !collector.has_ended() && !collector.log().contains("panicked"),
        "{}",
        collector.log()
    );
    drop(held);
    collector.stop();
}
