//! Forwarding to a stand-in for DX.

mod jobs;

use super::{ForwardOptions, forward};
use crate::server::tests::support::{EXAMPLE, PATIENCE, Running, Setup, start};
use dx_standin::{Mode, RetryAfter, Standin, Times};
use pipefold::dx::{Client, ClientOptions, DxUrl, ProxyOptions};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

struct Forwarding {
    server: Running,
    dx: Standin,
    token_file: PathBuf,
}

fn begin(per_second: f64) -> Forwarding {
    begin_with(per_second, None)
}

fn begin_with(per_second: f64, stale_after: Option<Duration>) -> Forwarding {
    begin_after(per_second, stale_after, |_| {})
}

/// Forwards what is in the store before.
fn begin_after(per_second: f64, stale_after: Option<Duration>, before: impl FnOnce(&Running)) -> Forwarding {
    let dx = Standin::start();
    let server = start(Setup {
        forwards: true,
        ..Setup::default()
    });
    before(&server);
    let token_file = server.dir.path().join("outbox");
    std::fs::write(&token_file, dx.token()).unwrap();
    let client = Client::new(ClientOptions {
        url: DxUrl::parse(&dx.url()).unwrap(),
        ca_file: None,
        proxy: ProxyOptions::default(),
    });
    let options = ForwardOptions {
        per_second,
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        timeout: Duration::from_secs(5),
        stale_after,
        ..ForwardOptions::new(client.unwrap(), token_file.clone())
    };
    server.runtime.spawn(forward(options, server.app.clone()));
    Forwarding { server, dx, token_file }
}

impl Running {
    fn tell(&self, reference_id: &str, more: &str) {
        let body = format!(
            r#"{{"pipeline_name":"p","pipeline_source":"s","reference_id":"{reference_id}","started_at":"2025-01-01T12:05:00"{more}}}"#
        );
        assert_eq!(self.upsert("", &body).status, 200);
    }

    fn tell_job(&self, run: &str, name: &str, status: &str) {
        let body = format!(
            r#"{{"pipeline_source":"s","run_reference_id":"{run}","reference_id":"{name}","name":"{name}","status":"{status}","started_at":"2025-01-01T12:06:00Z"}}"#
        );
        assert_eq!(self.upsert_job("", &body).status, 200);
    }
}

impl Forwarding {
    fn tell(&self, reference_id: &str, more: &str) {
        self.server.tell(reference_id, more);
    }

    fn run(&self, reference_id: &str) -> Value {
        self.server.get(&format!("/api/runs/{reference_id}"), "").json()["run"].clone()
    }

    fn forwarding(&self, reference_id: &str) -> Value {
        self.run(reference_id)["forwarding"].clone()
    }

    fn requests_about(&self, reference_id: &str) -> usize {
        let requests = self.dx.requests();
        let about = requests
            .iter()
            .filter(|request| request.json()["reference_id"] == reference_id);
        about.count()
    }

    fn status_in_dx(&self, reference_id: &str) -> String {
        let records = self.dx.records();
        records
            .get(reference_id)
            .map_or_else(String::new, |record| record.status.clone())
    }

    fn wait(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{what}; DX had {:?}",
                self.dx.records().keys()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_until_sent(&self, reference_id: &str) {
        self.wait(reference_id, |it| {
            it.forwarding(reference_id)["waiting_since"].is_null()
        });
    }
}

#[test]
fn dx_gets_the_run_and_each_change_of_it() {
    let it = begin(1000.0);
    assert_eq!(it.server.upsert("", EXAMPLE).status, 200);
    let name = "AA713E04-1880-4E17-8C49-4A41733DAFCF";
    it.wait_until_sent(name);
    assert_eq!(it.dx.records()[name].status, "success");
    assert_eq!(
        it.dx.records()[name].finished_at.as_deref(),
        Some("2025-01-01T12:10:00Z")
    );
    let said = it.forwarding(name);
    assert_eq!(
        (&said["covered"], &said["answer"]["accepted"]),
        (&1.into(), &true.into())
    );
    assert_eq!(it.server.upsert("", &EXAMPLE.replace("success", "failure")).status, 200);
    it.wait_until_sent(name);
    assert_eq!(it.dx.records()[name].status, "failure");
    let requests = it.dx.requests().len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(it.dx.requests().len(), requests, "what DX has is not sent again");
    let metrics = it.server.get("/metrics", "").body;
    assert!(metrics.contains("pipefold_dx_up 1\n"), "{metrics}");
}

#[test]
fn an_outage_is_caught_up_without_a_burst() {
    let it = begin(20.0);
    it.dx.set_mode(Mode::InternalError);
    for n in 0..20 {
        it.tell(&format!("r{n}"), "");
    }
    it.wait("several tries", |it| it.dx.requests().len() >= 4);
    it.dx.set_mode(Mode::Normal);
    let begin = Instant::now();
    it.wait("all runs", |it| it.dx.records().len() == 20);
    assert!(begin.elapsed() >= Duration::from_millis(700), "{:?}", begin.elapsed());
    it.wait_until_sent("r0");
}

#[test]
fn one_failed_run_delays_no_other_and_only_a_rejected_run_is_settled() {
    let it = begin(1000.0);
    it.dx.misbehave_for("bad", Mode::InternalError, Times::Always);
    let refusal = Mode::NotOk {
        code: "no_such_thing".into(),
        status: 422,
    };
    it.dx.misbehave_for("refused", refusal, Times::Always);
    let rejection = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    it.dx.misbehave_for("rejected", rejection, Times::Always);
    for name in ["bad", "refused", "rejected", "good"] {
        it.tell(name, "");
    }
    for name in ["good", "rejected"] {
        it.wait_until_sent(name);
    }
    let tries = |name: &str| it.requests_about(name);
    it.wait("it may pass, so it is tried again and again", |_| tries("refused") > 4);
    assert_eq!((tries("rejected"), tries("good")), (1, 1));
    let said = it.forwarding("refused");
    assert!(said["answer"]["text"].as_str().unwrap().contains("no_such_thing") && said["answer"]["accepted"] == false);
    let said = it.forwarding("bad");
    assert!(said["waiting_since"].is_string() && said["covered"] == 0, "{said}");
    it.tell("rejected", r#","status":"success""#);
    it.wait("what changed is tried again", |_| tries("rejected") > 1);
    it.dx.set_mode(Mode::Normal);
    it.wait_until_sent("refused");
    assert!(it.dx.records().contains_key("refused"));
}

#[test]
fn a_wrong_token_is_waited_out_until_the_file_has_another() {
    let it = begin(1000.0);
    std::fs::write(&it.token_file, "wrong").unwrap();
    it.tell("r", "");
    it.wait("a refusal", |it| {
        it.forwarding("r")["answer"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("invalid_auth"))
    });
    let text = it.server.get("/api/runs/r", "").body;
    assert!(!text.contains("wrong"));
    std::fs::remove_file(&it.token_file).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(&it.token_file, it.dx.token()).unwrap();
    it.wait_until_sent("r");
    assert!(it.dx.records().contains_key("r"));
}

#[test]
fn what_dx_asks_for_holds_for_all() {
    let it = begin(1000.0);
    let mode = Mode::TooManyRequests {
        retry_after: RetryAfter::Seconds(1),
    };
    it.dx.misbehave(mode, Times::Next(1));
    it.tell("a", "");
    it.wait("the refusal", |it| it.dx.requests().len() == 1);
    let begin = Instant::now();
    it.tell("b", "");
    it.wait_until_sent("b");
    assert!(begin.elapsed() > Duration::from_millis(500), "{:?}", begin.elapsed());
    it.wait_until_sent("a");
}

/// Long enough to be sent before it is over, and short enough to wait for.
const SOON: Duration = Duration::from_millis(300);

#[test]
fn a_stale_run_is_sent_as_cancelled_once_and_stays_unchanged_here() {
    let it = begin_with(1000.0, Some(SOON));
    it.tell(
        "silent",
        r#","status":"running","head_branch":"main","repository":"o/r","pr_number":7"#,
    );
    it.tell("unknown", "");
    it.tell("over", r#","status":"success""#);
    for name in ["silent", "unknown"] {
        it.wait("cancelled", |it| it.forwarding(name)["answer"]["as_cancelled"] == true);
        assert_eq!(it.status_in_dx(name), "cancelled");
    }
    let requests = it.dx.requests();
    let told = requests
        .iter()
        .rev()
        .find(|request| request.json()["reference_id"] == "silent");
    assert_eq!(
        told.unwrap().json(),
        serde_json::json!({
            "pipeline_name": "p", "pipeline_source": "s", "reference_id": "silent", "started_at": "2025-01-01T12:05:00Z",
            "status": "cancelled", "head_branch": "main", "repository": "o/r", "pr_number": 7,
        })
    );
    let run = it.run("silent");
    assert_eq!(run["record"]["status"], "running", "no notification changed it");
    assert_eq!(run["received"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&run["forwarding"]["covered"], &run["waiting_since"]),
        (&1.into(), &Value::Null)
    );
    std::thread::sleep(SOON * 3);
    assert_eq!((it.requests_about("silent"), it.requests_about("over")), (2, 1));
}

#[test]
fn a_run_with_new_activity_is_sent_as_it_is_and_dx_keeps_the_higher() {
    let it = begin_with(1000.0, Some(SOON));
    for (name, end) in [("well", "success"), ("badly", "failure")] {
        it.tell(name, r#","status":"running""#);
        it.wait("cancelled", |it| it.status_in_dx(name) == "cancelled");
        it.tell(
            name,
            &format!(r#","status":"{end}","finished_at":"2025-01-01T12:09:00""#),
        );
        it.wait("the end", |it| {
            let forwarding = it.forwarding(name);
            forwarding["covered"] == 2 && forwarding["answer"]["as_cancelled"].is_null()
        });
        assert_eq!(it.run(name)["record"]["status"], end);
        assert_eq!(
            it.dx.records()[name].finished_at.as_deref(),
            Some("2025-01-01T12:09:00Z")
        );
    }
    assert_eq!(
        (it.status_in_dx("well"), it.status_in_dx("badly")),
        ("cancelled".into(), "failure".into())
    );
    // A run that is silent again is sent as cancelled again: DX may have another status meanwhile.
    it.tell("again", "");
    it.wait("cancelled", |it| it.requests_about("again") == 2);
    it.tell("again", r#","status":"running""#);
    it.wait("cancelled again", |it| {
        it.requests_about("again") == 4 && it.forwarding("again")["answer"]["as_cancelled"] == true
    });
}

#[test]
fn a_stale_run_is_not_cancelled_if_dx_refused_it_and_waits_for_dx() {
    let it = begin_with(1000.0, Some(SOON));
    let rejection = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    it.dx.misbehave_for("rejected", rejection, Times::Always);
    it.tell("rejected", r#","status":"running""#);
    it.wait_until_sent("rejected");
    it.tell("later", r#","status":"running""#);
    it.wait_until_sent("later");
    it.dx.misbehave_for("later", Mode::InternalError, Times::Always);
    it.wait("tries", |it| it.requests_about("later") >= 3);
    let said = it.forwarding("later");
    assert_eq!(
        (&said["answer"]["accepted"], &said["waiting_since"]),
        (&true.into(), &Value::Null)
    );
    it.dx.set_mode(Mode::Normal);
    it.wait("cancelled", |it| it.status_in_dx("later") == "cancelled");
    assert_eq!(it.requests_about("rejected"), 1);
}

#[test]
fn a_record_that_dx_has_is_not_sent_again() {
    let it = begin(1000.0);
    it.tell("r", r#","status":"running","head_branch":"main""#);
    it.wait_until_sent("r");
    it.tell("r", r#","status":"running""#);
    it.wait_until_sent("r");
    assert_eq!((it.requests_about("r"), &it.forwarding("r")["covered"]), (1, &2.into()));
    it.tell("r", r#","status":"success""#);
    it.wait_until_sent("r");
    assert_eq!((it.requests_about("r"), it.status_in_dx("r")), (2, "success".into()));
}

#[test]
fn metrics_count_waiting_and_refused_runs_and_the_state_of_dx() {
    let it = begin(1000.0);
    let has = |line: &str| it.server.get("/metrics", "").body.lines().any(|found| found == line);
    assert!(
        !it.server.get("/metrics", "").body.contains("dx_up"),
        "nothing was asked yet"
    );
    let rejection = Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    };
    it.dx.misbehave_for("rejected", rejection, Times::Always);
    it.tell("rejected", "");
    it.wait_until_sent("rejected");
    assert!(has("pipefold_dx_up 1"), "it answered in its own words");
    assert!(
        has("pipefold_forwards_total{result=\"rejected\"} 1") && has("pipefold_forwards_total{result=\"failed\"} 0")
    );
    assert!(has("pipefold_forwards_waiting 0") && has("pipefold_forwards_oldest_waiting_seconds 0"));
    let listed = it.server.get("/api/runs?dx=refused", "").json();
    assert_eq!(listed["runs"][0]["record"]["reference_id"], "rejected");
    it.dx.set_mode(Mode::InternalError);
    it.tell("later", "");
    it.wait("a failure", |_| has("pipefold_dx_up 0"));
    assert!(has("pipefold_forwards_waiting 1"));
}
