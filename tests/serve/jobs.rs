//! Jobs of runs: accepted by a collector, and sent on to DX after their run, whatever dies or fails in between.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use pipefold_tests::http::Client;
use pipefold_tests::{Ci, Collector, Endpoint, Mode, RUN, Standin, Times, eventually, number_from};
use serde_json::{Value, json};

/// A DX, and a collector that forwards to it.
struct Gateway {
    dx: Standin,
    collector: Collector,
    _dir: tempfile::TempDir,
}

impl Gateway {
    fn start(rate: &str) -> Self {
        let (dx, dir) = (Standin::start(), tempfile::tempdir().unwrap());
        let token = dir.path().join("token");
        std::fs::write(&token, dx.token()).unwrap();
        let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
        let arguments = ["--forward-to", &url, "--token-file", &token, "--forward-rate", rate];
        let collector = Collector::start_with(&dir.path().join("data"), &arguments);
        Self {
            dx,
            collector,
            _dir: dir,
        }
    }

    fn run(&self, reference_id: &str) -> Value {
        let answer = self.collector.client().get(&format!("/api/runs/{reference_id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["run"].clone()
    }

    fn wait_until_told<'r>(&self, runs: impl IntoIterator<Item = &'r str>) {
        for run in runs {
            eventually("DX has all of it", || self.run(run)["waiting_since"].is_null());
        }
    }

    /// The statuses of a run's jobs in DX, by name.
    fn in_dx(&self, run: &str) -> BTreeMap<String, String> {
        let jobs = self.dx.jobs(run).into_iter();
        jobs.map(|job| (job.reference_id, job.status)).collect()
    }
}

fn run(reference_id: &str, status: &str) -> Value {
    json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00Z", "status": status,
    })
}

fn job(run: &str, name: &str, status: &str) -> Value {
    json!({
        "pipeline_source": "tests", "run_reference_id": run, "reference_id": name, "name": name, "status": status,
        "started_at": "2025-01-01T12:06:00Z", "finished_at": (status != "running").then_some("2025-01-01T12:07:00Z"),
    })
}

fn report(client: &mut Client, run: &Value) {
    let answer = client.upsert(run).unwrap();
    assert_eq!(answer.status, 200, "{run}: {}", answer.text());
}

fn report_job(client: &mut Client, job: &Value) {
    let answer = client.upsert_job(job).unwrap();
    assert_eq!(answer.status, 200, "{job}: {}", answer.text());
}

const RUNS: usize = 24;
const JOBS: usize = 5;

/// Sends a request until it is acknowledged, to the collector that lives now.
fn insist(collector: &Mutex<Collector>, arguments: &Value) {
    loop {
        let mut client = collector.lock().unwrap().client();
        let sent = if arguments.get("name").is_some() {
            client.upsert_job(arguments)
        } else {
            client.upsert(arguments)
        };
        match sent {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{arguments}: {}", answer.text());
                return;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The deaths of a round.
const DEATHS: usize = 5;

/// `make soak` has more deaths, by `PIPEFOLD_SERVE_ROUNDS`.
#[test]
fn killed_again_and_again_it_loses_no_job_and_dx_has_each_run_first() {
    let deaths = number_from("PIPEFOLD_SERVE_ROUNDS").unwrap_or(DEATHS as u64);
    for _ in 0..deaths.div_ceil(DEATHS as u64) {
        killed_while_jobs_come();
    }
}

fn killed_while_jobs_come() {
    let mut it = Gateway::start("400");
    let names: Vec<String> = (0..RUNS).map(|number| format!("run-{number}")).collect();
    let collector = Mutex::new(it.collector);
    std::thread::scope(|scope| {
        for names in names.chunks(RUNS / 4) {
            let collector = &collector;
            scope.spawn(move || {
                for name in names {
                    insist(collector, &run(name, "running"));
                    for (number, status) in (0..JOBS).flat_map(|number| [(number, "running"), (number, "success")]) {
                        insist(collector, &job(name, &format!("job-{number}"), status));
                    }
                    insist(collector, &run(name, "success"));
                }
            });
        }
        for death in 1..=DEATHS {
            // Runs and jobs in DX.
            let all = || it.dx.upserts().len() + it.dx.job_upserts().len();
            eventually("a part reaches DX", || all() >= death * RUNS / 2);
            let mut collector = collector.lock().unwrap();
            collector.kill();
            *collector = collector.again();
        }
    });
    it.collector = collector.into_inner().unwrap();
    it.wait_until_told(names.iter().map(String::as_str));
    assert_eq!(it.dx.jobs_refused(), 0, "a job came before its run");
    let mut again = 0;
    for name in &names {
        assert_eq!(it.dx.records()[name].status, "success");
        let kept = it.run(name);
        let kept = kept["jobs"].as_array().unwrap();
        assert_eq!((kept.len(), it.in_dx(name).len()), (JOBS, JOBS));
        assert!(kept.iter().all(|job| job["status"] == "success"), "{kept:?}");
        for job in it.dx.jobs(name) {
            assert_eq!(
                (job.status.as_str(), job.finished_at.as_deref()),
                ("success", Some("2025-01-01T12:07:00Z"))
            );
            again += job.upserts.saturating_sub(2);
        }
    }
    assert!(again <= DEATHS, "{again} requests that no death explains");
    it.collector.stop();
}

#[test]
fn a_dx_that_loses_answers_or_is_slow_has_the_right_jobs_in_the_end() {
    for mode in [
        Mode::CloseHalfWay,
        Mode::InternalError,
        Mode::SlowDrip,
        Mode::Slow(Duration::from_millis(700)),
    ] {
        let it = Gateway::start("200");
        it.dx.misbehave_at(Endpoint::Jobs, mode.clone(), Times::Next(2));
        let mut client = it.collector.client();
        report(&mut client, &run("r", "running"));
        for name in ["a", "b", "c"] {
            report_job(&mut client, &job("r", name, "running"));
            report_job(&mut client, &job("r", name, "failure"));
        }
        report(&mut client, &run("r", "failure"));
        it.wait_until_told(["r"]);
        let expected = ["a", "b", "c"].map(|name| (name.to_owned(), "failure".to_owned()));
        assert_eq!(it.in_dx("r"), BTreeMap::from(expected), "{mode:?}");
        let upserts: usize = it.dx.jobs("r").iter().map(|job| job.upserts).sum();
        // Two states of each, and what was lost.
        assert!(upserts <= 6 + 2, "{mode:?}: {upserts}");
        assert_eq!(it.dx.jobs_refused(), 0);
    }
}

#[test]
fn what_dx_has_is_not_sent_again_after_a_restart() {
    let it = Gateway::start("200");
    let mut client = it.collector.client();
    report(&mut client, &run("r", "running"));
    report_job(&mut client, &job("r", "a", "success"));
    it.wait_until_told(["r"]);
    let Gateway {
        dx,
        mut collector,
        _dir,
    } = it;
    collector.kill();
    let it = Gateway {
        collector: collector.again(),
        dx,
        _dir,
    };
    let requests = it.dx.requests().len();
    let mut client = it.collector.client();
    report_job(&mut client, &job("r", "a", "success"));
    // A late report of a state before.
    report_job(&mut client, &job("r", "a", "running"));
    report_job(&mut client, &job("r", "b", "success"));
    it.wait_until_told(["r"]);
    assert_eq!(it.dx.requests().len(), requests + 1);
    assert_eq!(it.in_dx("r").len(), 2);
}

#[test]
fn a_dx_without_jobs_is_a_line_in_the_log_and_runs_go_on() {
    let it = Gateway::start("200");
    let [mode, ..] = Mode::lacking();
    it.dx.misbehave_at(Endpoint::Jobs, mode, Times::Always);
    let mut client = it.collector.client();
    for name in ["r", "s"] {
        report(&mut client, &run(name, "running"));
        report_job(&mut client, &job(name, "a", "success"));
        report(&mut client, &run(name, "success"));
    }
    it.wait_until_told(["r", "s"]);
    let statuses: Vec<String> = it.dx.records().into_values().map(|record| record.status).collect();
    assert_eq!(statuses, ["success", "success"]);
    let metrics = it.collector.client().get("/metrics").text();
    assert!(
        metrics.contains("pipefold_forwards_jobs_total{result=\"no_method\"} 1\n"),
        "{metrics}"
    );
    let log = it.collector.stop().log;
    assert_eq!(
        log.matches("takes no jobs, so only runs are forwarded").count(),
        1,
        "{log}"
    );
}

#[test]
fn the_page_of_a_run_shows_its_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let mut client = collector.client();
    let unknown = client.upsert_job(&job("r", "a", "success")).unwrap();
    assert_eq!(
        (unknown.status, unknown.json()["error"].clone()),
        (422, json!("pipeline_run_not_found"))
    );
    report(&mut client, &run("r", "running"));
    report_job(&mut client, &job("r", "unit tests", "success"));
    report_job(&mut client, &job("r", "lint", "failure"));
    let page = client.get("/runs/r").text();
    for shown in ["unit tests", "lint", "s-failure", "1m 00s"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[test]
fn a_job_that_dx_rejects_is_a_line_in_the_log() {
    let it = Gateway::start("200");
    let refusal = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    it.dx.misbehave_at(Endpoint::Jobs, refusal, Times::Next(1));
    let mut client = it.collector.client();
    report(&mut client, &run("r", "running"));
    report_job(&mut client, &job("r", "a", "success"));
    it.wait_until_told(["r"]);
    report_job(&mut client, &job("r", "b", "success"));
    it.wait_until_told(["r"]);
    assert_eq!(it.in_dx("r").into_keys().collect::<Vec<_>>(), ["b"]);
    let log = it.collector.stop().log;
    assert!(
        log.contains("job \"a\" of run \"r\" is not in DX, which refused it as invalid_timestamp"),
        "{log}"
    );
}

#[test]
fn steps_of_a_build_are_jobs_here_and_in_dx() {
    const BUILD: &str = "pipefold step --step lint --allow-failure -- false; pipefold step --step test -- true";
    let (it, ci) = (Gateway::start("200"), Ci::new());
    let build = ci.exec_script(BUILD).env("DX_API_URL", &it.collector.url);
    build.run().assert_code(0);
    it.wait_until_told([RUN]);
    let kept = it.run(RUN);
    assert_eq!(kept["record"]["status"], "success");
    let statuses =
        [("lint", "failure"), ("test", "success")].map(|(name, status)| (name.to_owned(), status.to_owned()));
    let here = kept["jobs"].as_array().unwrap().iter();
    let here = here.map(|job| (&job["reference_id"], &job["status"]));
    let here: BTreeMap<String, String> = here
        .map(|(name, status)| (name.as_str().unwrap().to_owned(), status.as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(here, BTreeMap::from(statuses));
    assert_eq!(it.in_dx(RUN), here);
    assert_eq!(it.dx.jobs_refused(), 0);
    assert!(ci.dx.requests().is_empty());
}
