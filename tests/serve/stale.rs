//! Runs without activity, and their status at DX.

use std::path::Path;
use std::process::Command;

use pipefold_tests::{Collector, Standin, eventually, skipped};
use serde_json::{Value, json};

fn report(collector: &Collector, reference_id: &str, status: &str) {
    let arguments = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00",
        "status": status,
    });
    assert_eq!(collector.client().upsert(&arguments).unwrap().status, 200);
}

fn run(collector: &Collector, reference_id: &str) -> Value {
    collector.client().get(&format!("/api/runs/{reference_id}")).json()["run"].clone()
}

/// Lets this number of hours pass for all runs of a stopped collector. Returns false if this machine lacks the tools.
fn let_pass(data: &Path, hours: u32) -> bool {
    let script = "import sqlite3, sys\n\
        connection = sqlite3.connect(sys.argv[1])\n\
        connection.execute('UPDATE runs SET last_arrived = last_arrived - 3600000 * ?', (int(sys.argv[2]),))\n\
        connection.commit()";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(data.join("pipefold.sqlite"))
        .arg(hours.to_string())
        .output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn a_silent_run_is_sent_as_cancelled_once_where_configured() {
    let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
    let (data, token) = (dir.path().join("data"), dir.path().join("token"));
    std::fs::write(&token, dx.token()).unwrap();
    let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
    let usual = ["--stale-after", "1h", "--forward-to", &url, "--token-file", &token];
    let asked = [&usual[..], &["--forward-stale-as-cancelled"]].concat();
    let about = |name: &str| {
        let requests = dx.requests();
        requests
            .iter()
            .filter(|request| request.json()["reference_id"] == name)
            .count()
    };
    // Waiting runs are sent before stale ones: once DX knows a new run it has all the waiting ones.
    let round = |collector: &Collector, marker: &str| {
        report(collector, marker, "success");
        eventually("DX knows the marker", || {
            dx.records().contains_key(marker) && run(collector, marker)["waiting_since"].is_null()
        });
    };

    let collector = Collector::start_with(&data, &usual);
    report(&collector, "silent", "running");
    report(&collector, "over", "success");
    round(&collector, "first");
    collector.stop();
    if !let_pass(&data, 2) {
        let why = "there is no python3 with sqlite3 to let time pass in the database";
        return skipped("a_silent_run_is_sent_as_cancelled_once_where_configured", why);
    }
    let collector = Collector::start_with(&data, &usual);
    round(&collector, "second");
    // Time to send what must not be sent.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        (dx.records()["silent"].status.as_str(), about("silent")),
        ("running", 1)
    );
    let page = collector.client().get("/runs/silent").text();
    assert!(page.contains("stale"), "{page}");
    collector.stop();

    let collector = Collector::start_with(&data, &asked);
    eventually("DX knows it as cancelled", || {
        dx.records()["silent"].status == "cancelled"
    });
    eventually("it is noted", || {
        run(&collector, "silent")["forwarding"]["answer"]["as_cancelled"] == true
    });
    let kept = run(&collector, "silent");
    assert_eq!(
        (&kept["record"]["status"], &kept["notifications"]),
        (&json!("running"), &json!(1))
    );
    assert_eq!(dx.records()["silent"].finished_at, None, "nobody knows when it ended");
    let page = collector.client().get("/runs/silent").text();
    assert!(page.contains("sent as cancelled"), "{page}");
    collector.stop();

    // It is remembered.
    let collector = Collector::start_with(&data, &asked);
    round(&collector, "third");
    // Time to send what must not be sent.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!((about("silent"), about("over")), (2, 1));
    // It was alive all the time.
    report(&collector, "silent", "failure");
    eventually("DX knows how it ended", || dx.records()["silent"].status == "failure");
    collector.stop();
}

#[test]
fn stale_as_cancelled_needs_a_dx() {
    let dir = tempfile::tempdir().unwrap();
    let ended = Collector::try_start(dir.path(), &["--forward-stale-as-cancelled"]).unwrap_err();
    assert!(ended.code == Some(2) && ended.log.contains("--forward-to"), "{ended:?}");
}
