//! Forwarding to a stand-in for DX.

use super::{ForwardOptions, forward};
use crate::server::tests::support::{EXAMPLE, PATIENCE, Running, Setup, start};
use dx_standin::{Mode, RetryAfter, Standin, Times};
use pipefold::dx::{Client, ClientOptions, DxUrl, ProxyOptions};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Forwarding {
    server: Running,
    dx: Standin,
    token_file: PathBuf,
}

fn begin(per_second: f64) -> Forwarding {
    let dx = Standin::start();
    let server = start(Setup {
        forwards: true,
        ..Setup::default()
    });
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
        ..ForwardOptions::new(client.unwrap(), token_file.clone())
    };
    server.runtime.spawn(forward(options, Arc::clone(&server.app)));
    Forwarding { server, dx, token_file }
}

impl Forwarding {
    fn tell(&self, reference_id: &str, more: &str) {
        let body = format!(
            r#"{{"pipeline_name":"p","pipeline_source":"s","reference_id":"{reference_id}","started_at":"2025-01-01T12:05:00"{more}}}"#
        );
        assert_eq!(self.server.upsert("", &body).status, 200);
    }

    fn forwarding(&self, reference_id: &str) -> Value {
        self.server.get(&format!("/api/runs/{reference_id}"), "").json()["run"]["forwarding"].clone()
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

    fn wait_until_told(&self, reference_id: &str) {
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
    it.wait_until_told(name);
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
    it.wait_until_told(name);
    assert_eq!(it.dx.records()[name].status, "failure");
    let requests = it.dx.requests().len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(it.dx.requests().len(), requests, "what DX knows is not told again");
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
    it.wait_until_told("r0");
}

#[test]
fn one_runs_failure_does_not_hold_up_another_and_a_refused_run_is_settled() {
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
    for name in ["good", "rejected", "refused"] {
        it.wait_until_told(name);
    }
    let tries = |name: &str| {
        it.dx
            .requests()
            .iter()
            .filter(|request| request.json()["reference_id"] == name)
            .count()
    };
    assert_eq!((tries("rejected"), tries("refused"), tries("good")), (1, 3, 1));
    let said = it.forwarding("refused");
    assert!(said["answer"]["text"].as_str().unwrap().contains("no_such_thing") && said["answer"]["accepted"] == false);
    let said = it.forwarding("bad");
    assert!(said["waiting_since"].is_string() && said["covered"] == 0, "{said}");
    it.tell("refused", r#","status":"success""#);
    it.wait("what changed is tried anew", |_| tries("refused") > 3);
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
    it.wait_until_told("r");
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
    it.wait_until_told("b");
    assert!(begin.elapsed() > Duration::from_millis(500), "{:?}", begin.elapsed());
    it.wait_until_told("a");
}
