//! `pipefold serve --queue`: a collector whose runs go into the stream.

use std::path::Path;
use std::sync::Mutex;

use pipefold_tests::http::Client;
use pipefold_tests::{Collector, eventually};
use serde_json::json;

use crate::place::{Fleet, STREAM};

/// A gateway that may be killed while others report to it.
pub struct Gateway(Mutex<Collector>);

impl Gateway {
    /// Starts one over a data directory, with an argument that bounds how much a second goes into the queue.
    pub fn start(fleet: &Fleet, data_dir: &Path, rate: &str) -> Self {
        let arguments = ["--queue", &fleet.cluster.url(), "--forward-rate", rate];
        Self(Mutex::new(Collector::start_with(data_dir, &arguments)))
    }

    /// A client of it as it is now: the next one has another port. Waits while there is none.
    pub fn client(&self) -> Client {
        self.0.lock().unwrap().client()
    }

    /// Kills it, and starts another one over what it left.
    pub fn kill_and_start_again(&self) {
        let mut gateway = self.0.lock().unwrap();
        let ended = gateway.kill();
        assert_eq!(ended.signal, Some(9), "it had ended by itself: {ended:?}");
        *gateway = gateway.again();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(self) {
        self.0.into_inner().unwrap().stop();
    }
}

#[test]
fn upserts_of_a_gateway_reach_dx_through_the_queue_though_both_die() {
    let test = "upserts_of_a_gateway_reach_dx_through_the_queue_though_both_die";
    let Some(fleet) = Fleet::start(test) else { return };
    let directory = tempfile::tempdir().unwrap();
    let url = fleet.cluster.url();
    let mut gateway = Collector::start_with(&directory.path().join("data"), &["--queue", &url]);
    let tell = |gateway: &Collector, run: &str, number: usize, status: &str| {
        let upsert = json!({
            "pipeline_name": "p", "pipeline_source": "tests", "reference_id": run, "status": status,
            "started_at": format!("2025-01-01T12:05:{number:02}"), "finished_at": format!("2025-01-01T12:10:{number:02}"),
        });
        assert_eq!(gateway.client().upsert(&upsert).unwrap().status, 200);
    };
    tell(&gateway, "run-1", 0, "success");
    eventually("the stream has it", || fleet.waiting() > 0);

    fleet.cluster.kill(0);
    tell(&gateway, "run-1", 1, "failure");
    tell(&gateway, "run-2", 0, "success");
    gateway.kill();
    fleet.cluster.restart(0);
    fleet.cluster.wait_ready();
    assert!(
        fleet.cluster.stream(STREAM).is_some_and(|stream| stream.messages > 0),
        "it was acknowledged"
    );
    let gateway = gateway.again();
    let forwarder = fleet.forward(&[]);
    eventually("DX knows of both", || {
        let records = fleet.ci.dx.records();
        records.contains_key("run-2") && records.get("run-1").is_some_and(|run| run.status == "failure")
    });
    let record = fleet.ci.record_of("run-1");
    assert_eq!(record.started_at, "2025-01-01T12:05:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:01Z"));
    fleet.wait_until_empty();
    forwarder.stop();
    gateway.stop();
}

#[test]
fn a_gateway_forwards_to_one_place() {
    if crate::place::without_queues("a_gateway_forwards_to_one_place") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--queue", "nats://127.0.0.1:1", "--forward-to", "http://127.0.0.1:2"];
    let ended = Collector::try_start(directory.path(), &arguments).unwrap_err();
    assert_ne!(ended.code, Some(0));
    assert!(ended.log.contains("--forward-to"), "{}", ended.log);
}

#[test]
fn jobs_of_a_gateway_reach_dx_after_their_run_though_it_dies() {
    let test = "jobs_of_a_gateway_reach_dx_after_their_run_though_it_dies";
    let Some(fleet) = Fleet::start(test) else { return };
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(&fleet, &directory.path().join("data"), "500");
    let run = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": "run-1", "started_at": "2025-01-01T12:05:00Z", "status": "running",
    });
    assert_eq!(gateway.client().upsert(&run).unwrap().status, 200);
    for status in ["running", "success"] {
        for number in 0..6 {
            let name = format!("job-{number}");
            let job = json!({
                "pipeline_source": "tests", "run_reference_id": "run-1", "reference_id": name, "name": name, "status": status,
                "started_at": "2025-01-01T12:06:00Z",
            });
            assert_eq!(gateway.client().upsert_job(&job).unwrap().status, 200);
        }
        gateway.kill_and_start_again();
    }
    let forwarder = fleet.forward(&[]);
    eventually("DX has every job", || {
        let jobs = fleet.ci.dx.jobs("run-1");
        jobs.len() == 6 && jobs.iter().all(|job| job.status == "success")
    });
    assert_eq!(fleet.ci.dx.jobs_refused(), 0);
    fleet.wait_until_empty();
    forwarder.stop();
    gateway.stop();
}
