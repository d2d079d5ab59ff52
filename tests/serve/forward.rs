//! Notifications that a collector accepted reach DX, also when either of them dies in between.

use std::path::Path;
use std::time::{Duration, Instant};

use pipefold_tests::{Ci, Collector, Mode, Record, RetryAfter, Standin, Times, eventually};
use serde_json::{Value, json};

/// A DX, and a collector that forwards to it.
struct Gateway {
    dx: Standin,
    dir: tempfile::TempDir,
    collector: Collector,
}

impl Gateway {
    fn start(arguments: &[&str]) -> Self {
        let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
        let token = dir.path().join("token");
        std::fs::write(&token, dx.token()).unwrap();
        let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
        let arguments = [&["--forward-to", &url, "--token-file", &token], arguments].concat();
        let collector = Collector::start_with(&dir.path().join("data"), &arguments);
        Self { dx, dir, collector }
    }

    fn token_file(&self) -> std::path::PathBuf {
        self.dir.path().join("token")
    }

    /// Reports a run by this many notifications, the last one with its end.
    fn report(&self, reference_id: &str, notifications: usize) {
        let mut client = self.collector.client();
        for number in 0..notifications {
            let mut arguments = json!({
                "pipeline_name": "p", "pipeline_source": "tests", "reference_id": reference_id,
                "started_at": format!("2025-01-01T12:05:{number:02}"), "status": "running", "email": format!("{number}@example.com"),
            });
            if number + 1 == notifications {
                arguments["status"] = "success".into();
                arguments["finished_at"] = "2025-01-01T12:10:00".into();
            }
            assert_eq!(client.upsert(&arguments).unwrap().status, 200);
        }
    }

    fn run(&self, reference_id: &str) -> Value {
        let answer = self.collector.client().get(&format!("/api/runs/{reference_id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["run"].clone()
    }

    fn wait_until_told(&self, names: &[String]) {
        eventually("DX knows of all runs", || {
            let known = self.dx.records();
            names.iter().all(|name| known.contains_key(name))
        });
        eventually("DX knows everything", || {
            names.iter().all(|name| self.run(name)["waiting_since"].is_null())
        });
    }

    /// Checks that DX holds what the collector does.
    fn assert_same(&self, names: &[String]) {
        let known = self.dx.records();
        assert_eq!(known.len(), names.len(), "{:?}", known.keys());
        for name in names {
            let mut there = known[name].to_json();
            there.as_object_mut().unwrap().remove("upserts");
            assert_eq!(self.run(name)["record"], there);
        }
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("run-{number:03}")).collect()
}

/// The pauses between requests.
fn pauses(dx: &Standin) -> Vec<Duration> {
    let requests = dx.requests();
    let pair = |pair: &[pipefold_tests::Recorded]| pair[1].at - pair[0].at;
    requests.windows(2).map(pair).collect()
}

#[test]
fn a_day_without_dx_is_one_request_a_run_at_the_usual_pace() {
    let it = Gateway::start(&["--forward-rate", "40"]);
    it.dx.set_mode(Mode::RefuseConnections);
    let names = names(80);
    for name in &names {
        it.report(name, 5);
    }
    assert!(it.dx.requests().is_empty() && it.run("run-000")["forwarding"]["covered"] == 0);
    it.dx.set_mode(Mode::Normal);
    it.wait_until_told(&names);
    it.assert_same(&names);
    assert_eq!(
        it.dx.requests().len(),
        names.len(),
        "what was folded here is one request"
    );
    assert!(it.dx.records().values().all(|record| record.upserts == 1));
    // 25 ms apart when they are sent. One that was late on its way is nearer to the next.
    let pauses = pauses(&it.dx);
    let near = pauses
        .iter()
        .filter(|pause| **pause < Duration::from_millis(12))
        .count();
    assert!(near < pauses.len() / 4, "a burst: {pauses:?}");
    let all: Duration = pauses.iter().sum();
    assert!(all >= Duration::from_millis(25 * 79 - 200), "{all:?}");
    it.collector.stop();
}

#[test]
fn killed_again_and_again_while_it_forwards_it_loses_nothing() {
    let mut it = Gateway::start(&["--forward-rate", "100"]);
    let names = names(60);
    for name in &names {
        it.report(name, 2);
    }
    for deaths in 1..=4 {
        let far = deaths * names.len() / 5;
        eventually("a part is told", || it.dx.records().len() >= far);
        it.collector.kill();
        it.collector = it.collector.again();
    }
    it.wait_until_told(&names);
    it.assert_same(&names);
    // Only runs under way at a death, or not noted yet, are sent twice; and those sent before their second notification came.
    let more_than_once = |record: &&Record| record.upserts > 2;
    assert!(it.dx.records().values().filter(more_than_once).count() <= 4);
    it.collector.stop();
}

#[test]
fn a_refused_token_is_reported_once_and_waited_out() {
    let it = Gateway::start(&[]);
    it.dx.set_tokens(&["another-0123456789"]);
    let names = names(5);
    for name in &names {
        it.report(name, 1);
    }
    eventually("it is told why", || {
        let answer = it.run("run-000")["forwarding"]["answer"].clone();
        answer["text"]
            .as_str()
            .is_some_and(|text| text.contains("invalid_auth"))
    });
    // It is not logged once more for each run.
    eventually("a second try", || it.dx.requests().len() >= 2);
    let complaints = it.collector.log().matches("nothing is forwarded").count();
    assert_eq!(complaints, 1, "{}", it.collector.log());
    assert!(!it.collector.log().contains(it.dx.token()), "the token is in the log");
    assert!(
        it.dx.requests().len() <= 4,
        "all runs have the same token: {:?}",
        pauses(&it.dx)
    );
    std::fs::write(it.token_file(), "another-0123456789").unwrap();
    it.wait_until_told(&names);
    it.assert_same(&names);
}

#[test]
fn dx_is_left_alone_for_as_long_as_it_asks() {
    let it = Gateway::start(&["--forward-rate", "1000"]);
    let mode = Mode::TooManyRequests {
        retry_after: RetryAfter::Seconds(2),
    };
    it.dx.misbehave(mode, Times::Next(1));
    let names = names(10);
    for name in &names {
        it.report(name, 1);
    }
    it.wait_until_told(&names);
    it.assert_same(&names);
    let pauses = pauses(&it.dx);
    assert!(pauses[0] >= Duration::from_millis(1900), "{pauses:?}");
    assert_eq!(it.dx.requests().len(), 11);
}

#[test]
fn a_runner_behind_it_needs_no_token_of_dx() {
    let it = Gateway::start(&[]);
    let ci = Ci::new();
    let own = it.collector.token("builds", &["--write"]);
    let begin = Instant::now();
    let exec = ci.exec(["sh", "-c", "exit 3"]);
    exec.env("DX_API_URL", &it.collector.url)
        .env("DX_API_TOKEN", &own)
        .run()
        .assert_code(3);
    assert!(it.dx.wait_until(Duration::from_secs(30), |dx| {
        dx.records().values().any(|record| record.finished_at.is_some())
    }));
    let records = it.dx.records();
    let record = records.values().next().unwrap();
    assert_eq!(
        (records.len(), record.status.as_str()),
        (1, "failure"),
        "after {:?}",
        begin.elapsed()
    );
    assert!(ci.dx.requests().is_empty());
    assert!(it.dx.requests().iter().all(|request| {
        let expected = format!("Bearer {}", it.dx.token());
        request.authorization.as_deref() == Some(&expected)
    }));
    no_file_holds(it.collector.data_dir(), &own);
}

/// A token is kept as a hash.
fn no_file_holds(data: &Path, token: &str) {
    for (path, content) in Ci::files(data) {
        let held = content.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!held, "{} holds the token", path.display());
    }
}

#[test]
fn an_outage_is_a_line_in_the_log_and_so_is_its_end() {
    for mode in [Mode::RefuseConnections, Mode::InternalError, Mode::BadGateway] {
        let it = Gateway::start(&[]);
        let metric = |name: &str| {
            let text = it.collector.client().get("/metrics").text();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok());
            line.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        it.dx.set_mode(mode.clone());
        let names = names(3);
        for name in &names {
            it.report(name, 1);
        }
        eventually("it says so", || it.collector.log().contains("nothing is forwarded to"));
        assert_eq!((metric("pipefold_forwards_waiting"), metric("pipefold_dx_up")), (3, 0));
        eventually("the age of what waits is measured", || {
            metric("pipefold_forwards_oldest_waiting_seconds") >= 1
        });
        it.dx.set_mode(Mode::Normal);
        it.wait_until_told(&names);
        eventually("it says so", || it.collector.log().contains("forwarded to"));
        assert_eq!((metric("pipefold_forwards_waiting"), metric("pipefold_dx_up")), (0, 1));
        let log = it.collector.stop().log;
        let count = |words: &str| log.matches(words).count();
        assert_eq!(
            (count("nothing is forwarded to"), count("again after")),
            (1, 1),
            "{mode:?}: {log}"
        );
    }
}

#[test]
fn a_run_that_dx_rejects_is_a_line_in_the_log_and_in_a_list() {
    let it = Gateway::start(&[]);
    let mode = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    it.dx.misbehave_for("run-000", mode, Times::Always);
    let names = names(2);
    for name in &names {
        it.report(name, 1);
    }
    eventually("both are settled", || {
        names.iter().all(|name| it.run(name)["waiting_since"].is_null())
    });
    let log = it.collector.log();
    let line = log
        .lines()
        .find(|line| line.contains("run-000"))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("invalid_timestamp") && line.contains("/runs?dx=refused"),
        "{line}"
    );
    let page = it.collector.client().get("/?dx=refused").text();
    assert!(
        page.contains("/runs/run-000") && !page.contains("/runs/run-001"),
        "{page}"
    );
}

#[test]
fn what_is_refused_is_in_the_log_of_those_who_want_to_know() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start_with(&dir.path().join("data"), &["-v"]);
    let token = collector.token("builds", &["--write", "--pipelines", "web-*"]);
    let arguments = |pipeline: &str, status: &str| {
        json!({
            "pipeline_name": pipeline, "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z", "status": status,
        })
    };
    let mut client = collector.client().with_token(&token);
    for (pipeline, status, code) in [
        ("web-shop", "nonsense", "invalid_arguments"),
        ("api", "success", "no_permission"),
    ] {
        assert_ne!(client.upsert(&arguments(pipeline, status)).unwrap().status, 200);
        eventually("it is said", || {
            collector.log().lines().any(|line| {
                line.contains(code) && line.contains("127.0.0.1") && line.contains("builds") && line.contains(pipeline)
            })
        });
    }
    let mut stranger = collector.client().with_token("wrong");
    assert_eq!(stranger.upsert(&arguments("web-shop", "success")).unwrap().status, 401);
    eventually("it is said", || {
        let log = collector.log();
        log.lines()
            .any(|line| line.contains("invalid_auth") && line.contains("127.0.0.1"))
    });
    assert!(!collector.log().contains(&token));
}
