//! Forwarding jobs after their run.

use super::{Forwarding, begin, begin_after};
use crate::access::Access;
use crate::store::{Append, Forwarded, NewJob, RunKey};
use chrono::Utc;
use dx_standin::{Endpoint, Mode, Times};
use pipefold_sandbox::{Job, Status};

impl Forwarding {
    fn tell_job(&self, run: &str, name: &str, status: &str) {
        self.server.tell_job(run, name, status);
    }

    /// The names and statuses of a run's jobs in DX, with the number of requests.
    fn jobs_in_dx(&self, run: &str) -> Vec<(String, String, usize)> {
        let jobs = self.dx.jobs(run).into_iter();
        let mut jobs: Vec<_> = jobs.map(|job| (job.name, job.status, job.upserts)).collect();
        jobs.sort();
        jobs
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.server.get("/metrics", "").body;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}

fn sent(name: &str, status: &str, upserts: usize) -> (String, String, usize) {
    (name.into(), status.into(), upserts)
}

#[test]
fn jobs_follow_their_run_and_only_a_new_state_is_sent() {
    let it = begin(1000.0);
    it.dx.set_mode(Mode::InternalError);
    it.tell("r", r#","status":"running""#);
    for status in ["running", "success"] {
        it.tell_job("r", "a", status);
    }
    it.tell_job("r", "b", "running");
    it.wait("a try", |it| !it.dx.requests().is_empty());
    it.dx.set_mode(Mode::Normal);
    it.wait_until_sent("r");
    // Folded here, and after the run.
    assert_eq!(it.jobs_in_dx("r"), [sent("a", "success", 1), sent("b", "running", 1)]);
    assert_eq!(it.dx.jobs_refused(), 0);
    it.tell_job("r", "a", "running");
    it.tell_job("r", "b", "running");
    it.tell("r", r#","status":"success""#);
    it.tell_job("r", "b", "failure");
    it.wait_until_sent("r");
    assert_eq!(it.jobs_in_dx("r"), [sent("a", "success", 1), sent("b", "failure", 2)]);
    assert_eq!(it.metric("pipefold_forwards_jobs_total{result=\"accepted\"}"), 3);
}

#[test]
fn a_dx_that_forgot_the_run_gets_it_again_before_its_jobs() {
    let it = begin(1000.0);
    it.tell("r", r#","status":"running""#);
    it.tell_job("r", "a", "success");
    it.wait_until_sent("r");
    it.dx.forget("r");
    it.tell_job("r", "b", "success");
    it.wait_until_sent("r");
    assert_eq!((it.dx.jobs_refused(), it.status_in_dx("r")), (1, "running".into()));
    assert!(it.jobs_in_dx("r").contains(&sent("b", "success", 1)));
}

#[test]
fn a_dx_without_jobs_costs_one_request() {
    for mode in Mode::lacking() {
        let it = begin(1000.0);
        it.dx.misbehave_at(Endpoint::Jobs, mode, Times::Always);
        for run in ["r", "s"] {
            it.tell(run, r#","status":"running""#);
            for job in ["a", "b", "c"] {
                it.tell_job(run, job, "success");
            }
        }
        it.wait_until_sent("r");
        it.wait_until_sent("s");
        assert_eq!(it.dx.job_requests().len(), 1);
        assert_eq!(it.metric("pipefold_forwards_jobs_total{result=\"no_method\"}"), 1);
        assert_eq!(it.status_in_dx("s"), "running");
    }
}

#[test]
fn a_refused_job_holds_up_neither_others_nor_its_run() {
    let it = begin(1000.0);
    it.tell("r", r#","status":"running""#);
    it.wait_until_sent("r");
    let refusal = |code: &str| Mode::NotOk {
        code: code.into(),
        status: 422,
    };
    // One job is refused for a reason that may pass, then another for good.
    it.dx.misbehave_at(Endpoint::Jobs, refusal("odd"), Times::Next(2));
    it.tell_job("r", "a", "success");
    it.wait("it was refused", |it| {
        it.metric("pipefold_forwards_jobs_total{result=\"failed\"}") >= 1
    });
    it.wait_until_sent("r");
    assert_eq!(it.jobs_in_dx("r"), [sent("a", "success", 1)]);
    it.dx
        .misbehave_at(Endpoint::Jobs, refusal("invalid_timestamp"), Times::Next(1));
    it.tell_job("r", "b", "success");
    it.wait_until_sent("r");
    it.tell_job("r", "c", "success");
    it.tell("r", r#","status":"success""#);
    it.wait_until_sent("r");
    let names: Vec<String> = it.jobs_in_dx("r").into_iter().map(|(name, ..)| name).collect();
    assert_eq!(
        (names, it.status_in_dx("r")),
        (vec!["a".into(), "c".into()], "success".into())
    );
    assert_eq!(it.metric("pipefold_forwards_jobs_total{result=\"rejected\"}"), 1);
}

#[test]
fn a_run_of_many_jobs_leaves_others_their_turn() {
    let it = begin_after(100.0, None, |server| {
        server.tell("large", r#","status":"running""#);
        for n in 0..60 {
            server.tell_job("large", &format!("j{n}"), "success");
        }
        server.tell("small", r#","status":"running""#);
    });
    it.wait_until_sent("large");
    it.wait_until_sent("small");
    assert_eq!(it.jobs_in_dx("large").len(), 60);
    let requests = it.dx.requests();
    let small = requests
        .iter()
        .position(|request| request.json()["reference_id"] == "small");
    assert!(small.unwrap() < 40, "{small:?}");
}

#[test]
fn a_run_whose_waiting_job_is_held_since_does_not_wait() {
    let it = begin_after(1000.0, None, |server| {
        server.tell("r", r#","status":"running""#);
        let store = &server.app.store;
        let run = server.runtime.block_on(store.find(RunKey::Reference("r".into())));
        let sent = Forwarded {
            id: run.unwrap().unwrap().id,
            covered: 1,
            answer: None,
            sent: Some("digest".into()),
        };
        server.runtime.block_on(store.forwarded(sent)).unwrap();
        server.tell_job("r", "a", "running");
        let job = Job {
            reference_id: "a".into(),
            name: "a".into(),
            status: Status::Success,
            started_at: Some("2025-01-01T12:06:00Z".into()),
            finished_at: None,
        };
        let held = Append {
            reference_id: "r".into(),
            source: None,
            notifications: Vec::new(),
            jobs: vec![NewJob {
                job,
                by_policies: true,
                held: true,
            }],
            token: String::new(),
            access: Access::everything(),
            arrived: Utc::now(),
        };
        server.runtime.block_on(store.append(held)).unwrap();
    });
    it.wait_until_sent("r");
    assert!(it.dx.requests().is_empty());
}
