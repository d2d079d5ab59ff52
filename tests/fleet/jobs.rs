//! Jobs through a queue: after their run, one request each, never a staler state than DX has.

use std::time::{Duration, Instant};

use dx_standin::{Endpoint, jobs};
use pipefold_tests::{Mode, Times, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::backlog::count;
use crate::forwarder::Forwarder;
use crate::module::Module;
use crate::place::{Fleet, STREAM};
use crate::redacting::write;

/// The subject of a run.
fn subject(run: &str) -> String {
    format!("pipefold.runs.{}", pipefold::spool::RunKey::of(run))
}

/// A time in the hour of the tests.
fn at(minute: u32) -> String {
    format!("2025-01-01T12:{minute:02}:00Z")
}

/// A run, ended or not.
pub fn run(name: &str, status: &str) -> Value {
    let mut run = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": name, "started_at": at(0), "status": status,
    });
    if status != "running" {
        run["finished_at"] = at(50).into();
    }
    run
}

/// A state of a job: its start, and its finish if it has ended.
fn job(name: &str, status: &str, start: u32) -> Value {
    let mut job = json!({ "reference_id": name, "name": name, "status": status, "started_at": at(start) });
    if status != "running" {
        job["finished_at"] = at(start + 1).into();
    }
    job
}

/// The message of a job.
pub fn message(run: &Value, job: &Value) -> Value {
    json!({ "run": run, "job": job })
}

/// Publishes messages of a run.
fn publish(fleet: &Fleet, name: &str, messages: &[Value]) {
    for message in messages {
        fleet.publish(&subject(name), message.to_string().as_bytes());
    }
}

/// DX's jobs of a run, in the form of the oracle.
fn known(fleet: &Fleet, name: &str) -> Vec<Value> {
    let mut known: Vec<Value> = fleet.ci.dx.jobs(name).iter().map(|job| job.to_json()).collect();
    for job in &mut known {
        job.as_object_mut().unwrap().remove("upserts");
    }
    known.sort_by_key(|job| job["reference_id"].to_string());
    known
}

/// The jobs that these states make.
fn expected(states: &[Value]) -> Vec<Value> {
    let notifications: Vec<Value> = states
        .iter()
        .map(|state| {
            let mut notification = state.clone();
            notification["step"] = state["name"].clone();
            notification["step_id"] = state["reference_id"].clone();
            notification
        })
        .collect();
    jobs(&notifications)
}

fn messages_by(forwarder: &Forwarder, result: &str) -> usize {
    let name = format!("pipefold_queue_messages_total{{result=\"{result}\"}}");
    count(forwarder, &name)
}

/// Six steps: one retried, one that failed, and a state of one before its end.
fn six() -> Vec<Value> {
    vec![
        job("build", "running", 1),
        job("build", "success", 1),
        job("lint", "failure", 2),
        job("unit", "failure", 3),
        job("unit", "success", 6),
        job("e2e", "success", 7),
        job("docs", "cancelled", 8),
        job("pack", "success", 9),
    ]
}

#[test]
fn a_run_and_its_six_jobs_are_seven_requests_in_any_order_of_messages() {
    let Some(fleet) = Fleet::start("a_run_and_its_six_jobs_are_seven_requests_in_any_order_of_messages") else {
        return;
    };
    let (running, ended) = (run("r", "running"), run("r", "success"));
    let mut messages: Vec<Value> = six().iter().map(|job| message(&running, job)).collect();
    messages.insert(0, running);
    messages.push(ended);
    // The end of the run comes first.
    messages.reverse();
    publish(&fleet, "r", &messages);
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&six()));
    let dx = &fleet.ci.dx;
    assert_eq!(dx.records()["r"].status, "success");
    assert_eq!(
        dx.records()["r"].started_at,
        at(0),
        "a job's failure or start is not the run's"
    );
    assert_eq!((dx.run_requests().len(), dx.job_requests().len()), (1, 6));
    assert_eq!(dx.jobs_refused(), 0);
    assert!(dx.requests()[0].is_run(), "the run goes first");
    for request in dx.job_requests() {
        let names: Vec<String> = request.json().as_object().unwrap().keys().cloned().collect();
        assert!(
            !names.contains(&"run".to_owned()),
            "DX's arguments and no others: {names:?}"
        );
    }
    assert_eq!(count(&forwarder, "pipefold_job_forwards_total{result=\"accepted\"}"), 6);
    assert_eq!(messages_by(&forwarder, "done"), 10);
    let log = forwarder.stop();
    assert!(!log.contains("WARN"), "nothing was wrong: {log}");
}

#[test]
fn a_run_with_more_jobs_than_a_group_holds_sends_each_once() {
    let Some(fleet) = Fleet::start("a_run_with_more_jobs_than_a_group_holds_sends_each_once") else {
        return;
    };
    const JOBS: usize = 300;
    let ended = run("r", "success");
    let names = (0..JOBS).map(|number| format!("step-{number:03}"));
    let states: Vec<Value> = names.map(|name| job(&name, "success", 1)).collect();
    let mut messages = vec![ended.clone()];
    messages.extend(states.iter().map(|job| message(&ended, job)));
    publish(&fleet, "r", &messages);
    let reads = || {
        fleet.cluster.monitor(0, "/jsz").unwrap()["api"]["total"]
            .as_u64()
            .unwrap()
    };
    let (begun, before) = (Instant::now(), reads());
    let forwarder = fleet.forward(&["--rate", "10000"]);
    fleet.wait_until_empty();
    println!(
        "{JOBS} jobs in {:?}, {} requests to the queue",
        begun.elapsed(),
        reads() - before
    );
    assert_eq!(known(&fleet, "r"), expected(&states));
    let dx = &fleet.ci.dx;
    assert_eq!((dx.run_requests().len(), dx.job_requests().len()), (1, JOBS));
    assert!(dx.requests()[0].is_run());
    forwarder.stop();
}

#[test]
fn a_job_of_a_run_that_dx_has_is_one_request() {
    let Some(fleet) = Fleet::start("a_job_of_a_run_that_dx_has_is_one_request") else {
        return;
    };
    let forwarder = fleet.forward(&[]);
    let running = run("r", "running");
    publish(&fleet, "r", std::slice::from_ref(&running));
    fleet.wait_until_empty();
    publish(&fleet, "r", &[message(&running, &job("build", "success", 1))]);
    fleet.wait_until_empty();
    assert_eq!(fleet.ci.dx.requests().len(), 2);
    assert_eq!(known(&fleet, "r"), expected(&[job("build", "success", 1)]));

    // DX loses the run: the job's message has it.
    fleet.ci.dx.forget("r");
    let more = [job("lint", "failure", 2), job("unit", "success", 3)];
    let messages: Vec<Value> = more.iter().map(|job| message(&running, job)).collect();
    publish(&fleet, "r", &messages);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&more));
    assert_eq!(fleet.ci.dx.records()["r"].status, "running");
    // A refusal, the run, and each job.
    assert_eq!(fleet.ci.dx.requests().len(), 2 + 4);
    assert_eq!(fleet.refused(), 0);
    forwarder.stop();
}

#[test]
fn a_job_that_dx_does_not_take_is_tried_again_and_one_that_it_rejects_is_kept() {
    let test = "a_job_that_dx_does_not_take_is_tried_again_and_one_that_it_rejects_is_kept";
    let Some(fleet) = Fleet::start(test) else { return };
    let dx = &fleet.ci.dx;
    let not_ok = |code: &str| Mode::NotOk {
        code: code.to_owned(),
        status: 422,
    };
    // Once for the job, and once more after its run.
    dx.misbehave_at(Endpoint::Jobs, not_ok("pipeline_run_not_found"), Times::Next(2));
    let ended = run("r", "success");
    publish(
        &fleet,
        "r",
        &[ended.clone(), message(&ended, &job("build", "success", 1))],
    );
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&[job("build", "success", 1)]));
    assert_eq!(fleet.refused(), 0, "{}", forwarder.log());

    dx.misbehave_at(Endpoint::Jobs, not_ok("invalid_timestamp"), Times::Next(1));
    let more = [job("lint", "success", 2), job("unit", "success", 3)];
    let messages: Vec<Value> = more.iter().map(|job| message(&ended, job)).collect();
    publish(&fleet, "r", &messages);
    fleet.wait_until_empty();
    eventually("the first is kept", || fleet.refused() == 1);
    assert_eq!(known(&fleet, "r").len(), 2, "the other one was sent");
    let list = fleet.pipefold(["forward", "rejected", "list"]).run();
    assert!(list.stdout().contains("r, job lint  invalid_timestamp"), "{list}");
    fleet
        .pipefold(["forward", "rejected", "retry", "--all"])
        .run()
        .assert_code(0);
    eventually("DX has all", || known(&fleet, "r").len() == 3);
    fleet.wait_until_empty();
    assert_eq!(fleet.refused(), 0);
    forwarder.stop();
}

#[test]
fn without_the_method_jobs_are_dropped_and_runs_go_on() {
    let Some(fleet) = Fleet::start("without_the_method_jobs_are_dropped_and_runs_go_on") else {
        return;
    };
    let dx = &fleet.ci.dx;
    for (number, mode) in Mode::lacking().into_iter().enumerate() {
        dx.set_mode(Mode::Normal);
        dx.misbehave_at(Endpoint::Jobs, mode, Times::Always);
        let forwarder = fleet.forward(&[]);
        let asked = dx.job_requests().len();
        for run_number in 0..3 {
            let name = format!("r-{number}-{run_number}");
            let ended = run(&name, "success");
            let mut messages: Vec<Value> = six().iter().map(|job| message(&ended, job)).collect();
            messages.insert(0, ended);
            publish(&fleet, &name, &messages);
        }
        fleet.wait_until_empty();
        assert_eq!(dx.records().len(), 3 * (number + 1));
        assert!(
            dx.job_requests().len() - asked <= 3,
            "it does not ask for each: {}",
            dx.job_requests().len() - asked
        );
        assert_eq!(messages_by(&forwarder, "no_method"), 3 * six().len());
        assert_eq!(forwarder.get("/healthz").status, 200);
        let log = forwarder.stop();
        assert_eq!(log.matches("DX takes no jobs").count(), 1, "{log}");
    }
    assert_eq!(fleet.refused(), 0);
    assert!(dx.all_jobs().is_empty());
}

#[test]
fn torn_and_foreign_jobs_harm_no_others() {
    let Some(fleet) = Fleet::start("torn_and_foreign_jobs_harm_no_others") else {
        return;
    };
    let ended = run("r", "success");
    let good = message(&ended, &job("build", "success", 1));
    let whole = good.to_string();
    let mut wrong_time = good.clone();
    wrong_time["job"]["started_at"] = "yesterday".into();
    let mut long = good.clone();
    long["job"]["name"] = "x".repeat(5_000).into();
    let strange = [
        whole[..whole.len() - 3].to_owned(),
        r#"{"job":{"reference_id":"a","name":"a"}}"#.to_owned(),
        whole.replace("\"success\"", "\"exploded\""),
        whole.replace("\"name\":\"build\"", "\"name\":\"\""),
        wrong_time.to_string(),
        long.to_string(),
    ];
    for payload in &strange {
        fleet.publish(&subject("r"), payload.as_bytes());
    }
    publish(&fleet, "r", &[ended, good]);
    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&[job("build", "success", 1)]));
    let list = fleet.pipefold(["forward", "rejected", "list"]).run();
    assert_eq!(fleet.refused(), strange.len() as u64, "{list}");
    forwarder.stop();
}

/// A fleet with a run in DX, and a forwarder that holds this state of its job and is suspended.
fn with_held(test: &str, window: &str, held: &Value) -> Option<(Fleet, Forwarder)> {
    let fleet = Fleet::start(test)?;
    let running = run("r", "running");
    let first = fleet.forward(&[]);
    publish(&fleet, "r", std::slice::from_ref(&running));
    fleet.wait_until_empty();
    first.stop();
    let holding = Forwarder::start(&fleet.cluster.url(), &fleet.ci.dx, &["--window", window]);
    publish(&fleet, "r", &[message(&running, held)]);
    eventually("it has the message", || {
        fleet.cluster.stream(STREAM).is_some_and(|stream| stream.in_flight == 1)
    });
    holding.signal(Signal::STOP);
    // Its open request for messages would get the next one.
    let mut connection = fleet.cluster.connect(0).unwrap();
    eventually("it asks for no more", || {
        let subject = "$JS.API.CONSUMER.INFO.PIPEFOLD.forwarders";
        connection.request(subject, &[], b"").unwrap()["num_waiting"] == 0
    });
    Some((fleet, holding))
}

#[test]
fn a_newer_state_waits_for_an_older_one_that_another_forwarder_holds() {
    let test = "a_newer_state_waits_for_an_older_one_that_another_forwarder_holds";
    let older = job("build", "running", 1);
    let Some((fleet, holding)) = with_held(test, "3s", &older) else {
        return;
    };
    let running = run("r", "running");
    let second = fleet.forward(&[]);
    let (newer, other) = (job("build", "success", 1), job("lint", "success", 1));
    publish(&fleet, "r", &[message(&running, &newer), message(&running, &other)]);
    let dx = &fleet.ci.dx;
    eventually("the other job does not wait", || dx.job_requests().len() == 1);
    fleet.a_moment();
    assert_eq!(
        known(&fleet, "r"),
        expected(std::slice::from_ref(&other)),
        "{}",
        second.log()
    );
    holding.signal(Signal::CONT);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&[newer, other]));
    assert_eq!(dx.job_requests().len(), 2, "the older state was not sent");
    assert_eq!(messages_by(&holding, "superseded"), 1);
    holding.stop();
    second.stop();
}

#[test]
fn an_older_state_that_comes_later_is_not_sent() {
    let newer = job("build", "success", 1);
    let Some((fleet, holding)) = with_held("an_older_state_that_comes_later_is_not_sent", "3s", &newer) else {
        return;
    };
    let second = fleet.forward(&[]);
    let running = run("r", "running");
    publish(&fleet, "r", &[message(&running, &job("build", "running", 1))]);
    eventually("it is dropped", || messages_by(&second, "superseded") == 1);
    assert!(fleet.ci.dx.job_requests().is_empty());
    holding.signal(Signal::CONT);
    fleet.wait_until_empty();
    assert_eq!(known(&fleet, "r"), expected(&[newer]));
    assert_eq!(fleet.ci.dx.job_requests().len(), 1);
    holding.stop();
    second.stop();
}

#[test]
fn the_same_state_twice_is_sent_once() {
    let state = job("build", "success", 1);
    let Some((fleet, holding)) = with_held("the_same_state_twice_is_sent_once", "3s", &state) else {
        return;
    };
    let second = fleet.forward(&[]);
    publish(&fleet, "r", &[message(&run("r", "running"), &state)]);
    fleet.wait_until_empty();
    holding.signal(Signal::CONT);
    eventually("it notices", || messages_by(&holding, "elsewhere") == 1);
    assert_eq!(known(&fleet, "r"), expected(&[state]));
    assert_eq!(fleet.ci.dx.job_requests().len(), 1);
    holding.stop();
    second.stop();
}

#[test]
fn what_a_dead_forwarder_held_is_sent_with_the_newer_state() {
    let test = "what_a_dead_forwarder_held_is_sent_with_the_newer_state";
    let Some((fleet, holding)) = with_held(test, "10m", &job("build", "running", 1)) else {
        return;
    };
    let second = fleet.forward(&[]);
    let newer = job("build", "success", 1);
    publish(&fleet, "r", &[message(&run("r", "running"), &newer)]);
    drop(holding);
    let begun = Instant::now();
    // The queue's half a minute, and what a busy machine adds.
    let sent = fleet
        .ci
        .dx
        .wait_until(Duration::from_secs(120), |dx| !dx.job_requests().is_empty());
    assert!(sent, "{}", second.log());
    fleet.wait_until_empty();
    assert!(begun.elapsed() > Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(known(&fleet, "r"), expected(&[newer]));
    assert_eq!(fleet.ci.dx.job_requests().len(), 1);
    second.stop();
}

#[test]
fn jobs_of_many_runs_through_two_forwarders_to_a_slow_dx() {
    let Some(fleet) = Fleet::start("jobs_of_many_runs_through_two_forwarders_to_a_slow_dx") else {
        return;
    };
    const RUNS: usize = 20;
    let dx = &fleet.ci.dx;
    dx.set_mode(Mode::Slow(Duration::from_millis(100)));
    let forwarders = [fleet.forward(&["--rate", "40"]), fleet.forward(&["--rate", "40"])];
    for number in 0..RUNS {
        let name = format!("r-{number}");
        let (running, ended) = (run(&name, "running"), run(&name, "success"));
        publish(&fleet, &name, &[running]);
        let jobs: Vec<Value> = six().iter().map(|job| message(&ended, job)).collect();
        publish(&fleet, &name, std::slice::from_ref(&ended));
        publish(&fleet, &name, &jobs);
    }
    fleet.wait_until_empty();
    for number in 0..RUNS {
        let name = format!("r-{number}");
        assert_eq!(known(&fleet, &name), expected(&six()), "{name}");
        assert_eq!(dx.records()[&name].status, "success");
    }
    assert_eq!(dx.jobs_refused(), 0, "each run was sent before its jobs");
    let (runs, jobs) = (dx.run_requests().len(), dx.job_requests().len());
    println!("{runs} requests for {RUNS} runs, {jobs} for {} jobs", RUNS * 6);
    assert!(runs <= 2 * RUNS, "{runs}");
    // A job whose two states came apart is two requests.
    assert!((RUNS * 6..=RUNS * six().len()).contains(&jobs), "{jobs}");
    for forwarder in forwarders {
        forwarder.stop();
    }
}

/// A policy that spells the job `build` with a capital, and leaves out `lint`. It looks at the first job of a report, by `wit/types.wit`: the
/// report begins 16 bytes behind the answer, and the list of its jobs 160 bytes behind that.
fn renaming_and_dropping() -> Vec<u8> {
    let next = "(call $next_finish (local.get 0) (local.get 1) (i32.const 1024))";
    let change = "(local $name i32)
        (if (i32.load (i32.const 1204)) (then
            (local.set $name (i32.load offset=8 (i32.load (i32.const 1200))))
            (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 98)) (then (i32.store8 (local.get $name) (i32.const 66))))
            (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 108)) (then (i32.store (i32.const 1204) (i32.const 0))))))";
    let (locals, change) = change.split_once('\n').unwrap();
    Module {
        pipeline_finish: format!("{locals} {next} {change} (i32.const 1024)"),
        ..Module::default()
    }
    .policy()
}

#[test]
fn a_forwarders_policy_renames_one_job_and_leaves_out_another() {
    let test = "a_forwarders_policy_renames_one_job_and_leaves_out_another";
    let Some(fleet) = Fleet::start(test) else { return };
    let policy = write(&fleet.ci, "rename.wasm", &renaming_and_dropping());
    let forwarder = fleet.forward(&["--policy", policy.to_str().unwrap()]);
    let ended = run("r", "success");
    let states = ["build", "lint", "unit"].map(|name| job(name, "success", 1));
    let mut messages: Vec<Value> = states.iter().map(|job| message(&ended, job)).collect();
    messages.insert(0, ended);
    publish(&fleet, "r", &messages);
    fleet.wait_until_empty();
    let mut renamed = states[0].clone();
    renamed["name"] = "Build".into();
    assert_eq!(
        known(&fleet, "r"),
        expected(&[renamed, states[2].clone()]),
        "{}",
        forwarder.log()
    );
    assert_eq!(messages_by(&forwarder, "dropped"), 1);
    assert_eq!((fleet.ci.dx.requests().len(), fleet.refused()), (3, 0));
    forwarder.stop();
}
