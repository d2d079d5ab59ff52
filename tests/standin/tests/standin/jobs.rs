//! `pipelineJobs.upsert`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dx_standin::{Endpoint, Mode, RetryAfter, Standin, Times, jobs};
use serde_json::{Value, json};

use super::{Answer, authorized, connect, json_headers, read_answer, request_of, run, send, with};

pub(super) fn request(method: &str, headers: &str, body: &str) -> String {
    request_of("pipelineJobs.upsert", method, headers, body)
}

/// A job of a run of [`run`].
pub(super) fn job(run: &str, reference_id: &str) -> Value {
    json!({
        "pipeline_source": "Tekton", "run_reference_id": run, "reference_id": reference_id, "name": reference_id, "status": "success",
    })
}

fn send_job(dx: &Standin, body: &Value) -> Answer {
    send(dx, &request("POST", &json_headers(dx), &body.to_string()))
}

fn send_run(dx: &Standin, reference_id: &str) {
    assert_eq!(send(dx, &authorized(dx, &run(reference_id))).status, 200);
}

fn names(dx: &Standin, run: &str) -> Vec<String> {
    dx.jobs(run).into_iter().map(|job| job.reference_id).collect()
}

#[test]
fn each_request_replaces_its_job_whole() {
    let dx = Standin::start();
    send_run(&dx, "r");
    let first = with(
        job("r", "build"),
        &json!({ "name": "Build", "started_at": "2025-01-01T13:05:00.500+01:00", "finished_at": "2025-01-01" }),
    );
    let answer = send_job(&dx, &first);
    assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
    send_job(&dx, &job("r", "a"));
    let build = &dx.jobs("r")[0];
    assert_eq!((build.reference_id.as_str(), build.name.as_str()), ("build", "Build"));
    assert_eq!(build.started_at.as_deref(), Some("2025-01-01T12:05:00.5Z"));
    assert_eq!(build.finished_at.as_deref(), Some("2025-01-01T00:00:00Z"));
    assert_eq!((build.status.as_str(), build.upserts), ("success", 1));

    let stale = with(
        job("r", "build"),
        &json!({ "status": "running", "started_at": "2024-12-31T12:00:00" }),
    );
    send_job(&dx, &stale);
    assert_eq!(names(&dx, "r"), ["build", "a"], "in the order of first arrival");
    assert_eq!(
        dx.jobs("r")[0].to_json(),
        json!({ "reference_id": "build", "name": "build", "status": "running", "started_at": "2024-12-31T12:00:00Z", "upserts": 2 })
    );
    assert_eq!(dx.job_upserts(), [first, job("r", "a"), stale]);
    assert_eq!(dx.upserts(), [run("r")]);
}

#[test]
fn jobs_belong_to_their_run() {
    let dx = Standin::start();
    for name in ["r", "s"] {
        send_run(&dx, name);
        assert_eq!(send_job(&dx, &job(name, "build")).status, 200);
    }
    send_job(&dx, &job("s", "test"));
    assert_eq!(names(&dx, "r"), ["build"]);
    assert_eq!(names(&dx, "s"), ["build", "test"]);
    assert!(dx.jobs("t").is_empty());
    assert_eq!(dx.all_jobs().into_keys().collect::<Vec<_>>(), ["r", "s"]);
}

#[test]
fn errors_as_of_runs_and_the_list_of_statuses() {
    let dx = Standin::start();
    send_run(&dx, "r");
    let authorized = |body: &str| request("POST", &json_headers(&dx), body);
    let more = |more: Value| authorized(&with(job("r", "build"), &more).to_string());
    let mut cases = vec![
        (request("POST", "", &job("r", "build").to_string()), 401, "not_authed"),
        (
            request("POST", "Authorization: Bearer wrong\r\n", "{"),
            401,
            "invalid_auth",
        ),
        (authorized("{"), 400, "invalid_json"),
        (authorized("[]"), 400, "invalid_json"),
        (more(json!({ "status": "passed" })), 422, "invalid_status"),
        (more(json!({ "started_at": "yesterday" })), 422, "invalid_timestamp"),
        (
            more(json!({ "finished_at": "2025-01-01T11:46:67" })),
            422,
            "invalid_timestamp",
        ),
        (request("GET", "", ""), 405, "method_not_allowed"),
    ];
    for required in ["pipeline_source", "run_reference_id", "reference_id", "name", "status"] {
        for nothing in [json!(null), json!(" ")] {
            cases.push((more(json!({ required: nothing })), 422, "required_params_missing"));
        }
    }
    for (bytes, status, code) in cases {
        let answer = send(&dx, &bytes);
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["ok"], &body["error"]),
            (status, &json!(false), &json!(code)),
            "{bytes}"
        );
        assert!(body["message"].is_string());
    }
    assert!(dx.all_jobs().is_empty());
    assert_eq!(dx.jobs_refused(), 0, "these are other refusals");
    for status in ["success", "failure", "cancelled", "running", "unknown"] {
        assert_eq!(
            send(&dx, &more(json!({ "status": status, "started_at": "" }))).status,
            200
        );
        assert_eq!(dx.jobs("r")[0].status, status);
    }
}

#[test]
fn forms_are_read_as_well() {
    let dx = Standin::start();
    send_run(&dx, "r/1");
    let form = "pipeline_source=Tekton&run_reference_id=r%2f1&reference_id=1&name=Unit+tests&status=unknown&started_at=2025-01-01";
    let headers = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer {}\r\n",
        dx.token()
    );
    assert_eq!(send(&dx, &request("POST", &headers, form)).status, 200);
    let job = &dx.jobs("r/1")[0];
    assert_eq!((job.reference_id.as_str(), job.name.as_str()), ("1", "Unit tests"));
    assert_eq!(job.started_at.as_deref(), Some("2025-01-01T00:00:00Z"));
}

#[test]
fn the_run_must_exist_and_be_of_the_same_source() {
    let dx = Standin::start();
    let refused = |body: &Value| {
        let answer = send_job(&dx, body);
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (422, &json!("pipeline_run_not_found"))
        );
        assert!(answer.json()["message"].as_str().unwrap().contains("\"r\""));
    };
    refused(&job("r", "build"));
    send_run(&dx, "other");
    refused(&job("r", "build"));
    send_run(&dx, "r");
    refused(&with(job("r", "build"), &json!({ "pipeline_source": "Jenkins" })));
    assert_eq!(dx.jobs_refused(), 3);
    assert!(dx.all_jobs().is_empty());
    assert_eq!(send_job(&dx, &job("r", "build")).status, 200);
    assert_eq!(dx.jobs_refused(), 3);
    // Of the source, too, the value given last is the record's.
    let jenkins = json!({ "pipeline_source": "Jenkins" });
    send(&dx, &authorized(&dx, &with(run("r"), &jenkins)));
    refused(&job("r", "build"));
    assert_eq!(send_job(&dx, &with(job("r", "build"), &jenkins)).status, 200);
    assert_eq!((dx.run_requests().len(), dx.job_requests().len()), (3, 6));
    assert!(dx.requests().iter().all(|request| request.is_run() != request.is_job()));
}

#[test]
fn a_forgotten_run_is_unknown_until_it_is_sent_again() {
    let dx = Standin::start();
    for name in ["r", "s"] {
        send_run(&dx, name);
        send_job(&dx, &job(name, "build"));
    }
    dx.forget("r");
    assert!(dx.jobs("r").is_empty() && !dx.records().contains_key("r"));
    assert_eq!(send_job(&dx, &job("r", "test")).status, 422);
    send_run(&dx, "r");
    assert_eq!(send_job(&dx, &job("r", "test")).status, 200);
    assert_eq!(names(&dx, "r"), ["test"]);
    assert_eq!(names(&dx, "s"), ["build"]);
    assert_eq!(dx.requests().len(), 7);
}

#[test]
fn modes_may_be_for_one_method() {
    let dx = Standin::start();
    let run_status = || send(&dx, &authorized(&dx, &run("r"))).status;
    let job_status = || send_job(&dx, &job("r", "build")).status;
    dx.misbehave_at(Endpoint::Jobs, Mode::InternalError, Times::Next(2));
    let retry_after = RetryAfter::Seconds(1);
    dx.misbehave_at(Endpoint::Jobs, Mode::TooManyRequests { retry_after }, Times::Next(1));
    dx.misbehave_at(Endpoint::Runs, Mode::BadGateway, Times::Next(1));
    assert_eq!([run_status(), run_status()], [502, 200]);
    assert_eq!(
        [job_status(), job_status(), job_status(), job_status()],
        [500, 500, 429, 200]
    );
    dx.misbehave_for("r", Mode::BadGateway, Times::Always);
    assert_eq!([run_status(), job_status()], [502, 502], "of a run and its jobs");
    dx.set_mode(Mode::Normal);
    assert_eq!([run_status(), job_status()], [200, 200]);
}

#[test]
fn the_method_may_be_lacking() {
    let dx = Standin::start();
    let lacking = Mode::lacking();
    for mode in lacking.clone() {
        dx.misbehave_at(Endpoint::Jobs, mode, Times::Next(1));
    }
    send_run(&dx, "r");
    let answers = lacking.map(|_| send_job(&dx, &job("r", "build")));
    assert_eq!(answers.each_ref().map(|answer| answer.status), [404, 404, 405, 405]);
    assert_eq!(answers[0].json()["error"], "unknown_method");
    assert_eq!(answers[2].json()["error"], "method_not_allowed");
    for answer in [&answers[1], &answers[3]] {
        assert!(serde_json::from_str::<Value>(&answer.body).is_err());
    }
    assert!(dx.all_jobs().is_empty());
}

#[test]
fn answers_about_jobs_may_be_late_or_lost() {
    let dx = Standin::start();
    send_run(&dx, "r");
    dx.misbehave_at(Endpoint::Jobs, Mode::CloseHalfWay, Times::Next(1));
    let mut stream = connect(&dx);
    let body = request("POST", &json_headers(&dx), &job("r", "build").to_string());
    stream.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("{\"ok\":t"), "{text}");
    assert_eq!(dx.jobs("r")[0].upserts, 1, "it was honoured all the same");

    let pause = Duration::from_millis(200);
    dx.misbehave_at(Endpoint::Jobs, Mode::Slow(pause), Times::Next(1));
    let begin = Instant::now();
    send_run(&dx, "r");
    assert!(begin.elapsed() < pause);
    assert_eq!(send_job(&dx, &job("r", "build")).status, 200);
    assert!(begin.elapsed() >= pause);
}

#[test]
fn the_process_may_be_slow_and_lack_the_method() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dx-standin"))
        .args(["--token", "t", "--seconds", "60", "--slow", "50", "--without-jobs"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    std::io::BufRead::read_line(&mut out, &mut url).unwrap();
    let mut stream = std::net::TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).unwrap();
    let begin = Instant::now();
    let token = "Authorization: Bearer t\r\n";
    let body = super::request("POST", token, &run("r").to_string());
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(50));
    let body = request("POST", token, &job("r", "build").to_string());
    stream.write_all(body.as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (404, &json!("unknown_method"))
    );
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_oracle_takes_the_notification_that_started_last() {
    let step = |step: &str, more: Value| with(json!({ "step": step }), &more);
    let mut told = vec![
        json!({ "started_at": "2025-01-01T12:00:00", "status": "failure" }),
        // Tried twice: the second decides, though the first ended later and worse.
        step(
            "test",
            json!({ "started_at": "2025-01-01T12:01:00", "finished_at": "2025-01-01T12:09:00", "status": "failure" }),
        ),
        step(
            "test",
            json!({ "started_at": "2025-01-01T12:02:00Z", "status": "running" }),
        ),
        step(
            "test",
            json!({ "started_at": "2025-01-01T13:02:00+01:00", "finished_at": "2025-01-01T12:03:00", "status": "success" }),
        ),
        step(
            "test",
            json!({ "started_at": "2025-01-01T12:02:00", "finished_at": "2025-01-01T12:02:30", "status": "success" }),
        ),
        step(
            "test",
            json!({ "finished_at": "2025-01-01T12:30:00", "status": "failure" }),
        ),
        // One job of two names.
        step(
            "Lint",
            json!({ "step_id": "l", "started_at": "2025-01-01", "status": "success" }),
        ),
        step(
            "lint",
            json!({ "step_id": "l", "started_at": "2025-01-01", "status": "success" }),
        ),
        // Other jobs of one name.
        step("test", json!({ "step_id": "0", "status": "" })),
    ];
    let expected = [
        json!({ "reference_id": "0", "name": "test", "status": "unknown" }),
        json!({ "reference_id": "l", "name": "lint", "status": "success", "started_at": "2025-01-01T00:00:00Z" }),
        json!({
            "reference_id": "test", "name": "test", "status": "success",
            "started_at": "2025-01-01T12:02:00Z", "finished_at": "2025-01-01T12:03:00Z",
        }),
    ];
    for _ in 0..told.len() {
        told.rotate_left(1);
        assert_eq!(jobs(&told), expected);
        assert_eq!(jobs(told.iter().rev()), expected);
        assert_eq!(jobs(told.iter().chain(&told)), expected);
    }
}
