//! Delivery through a queue gives the records that direct delivery would have given.

use pipefold_tests::killing::PIPELINE_COMMANDS;
use pipefold_tests::{Ci, RUN, SpoolContent, eventually};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::place::Fleet;

/// DX's record of the run, without the number of requests.
fn record(ci: &Ci) -> Value {
    let mut record = ci.record().to_json();
    record.as_object_mut().unwrap().remove("upserts");
    record
}

/// DX's jobs of the run, without the number of requests.
fn states(ci: &Ci) -> Vec<Value> {
    let mut jobs: Vec<Value> = ci.dx.jobs(RUN).iter().map(|job| job.to_json()).collect();
    for job in &mut jobs {
        job.as_object_mut().unwrap().remove("upserts");
    }
    jobs.sort_by_key(|job| job["reference_id"].to_string());
    jobs
}

#[test]
fn a_pipeline_is_the_same_through_a_queue_as_without_and_is_one_request() {
    let Some(fleet) = Fleet::start("a_pipeline_is_the_same_through_a_queue_as_without_and_is_one_request") else {
        return;
    };
    let direct = Ci::new();
    for command in PIPELINE_COMMANDS {
        direct.report(command.split(' ')).run().assert_code(0);
        let output = fleet.report(RUN, command).run();
        output.assert_code(0);
        assert_eq!(output.stderr(), "", "there is nothing to complain about");
    }
    let content = SpoolContent::read(&fleet.ci.spool());
    content.assert_sound(&"through a queue");
    assert_eq!(content.waiting().count(), 0, "the stream has it: {content:#?}");
    assert!(fleet.ci.dx.requests().is_empty(), "DX was not told yet");

    // A run's message is the request that DX would have got, byte for byte, and its subject identifies a run without its name.
    let hash: String = Sha256::digest(RUN).iter().map(|byte| format!("{byte:02x}")).collect();
    let (messages, requests) = (fleet.messages(), direct.dx.requests());
    assert_eq!(messages.len(), requests.len(), "{messages:?}");
    for (message, request) in messages.iter().zip(&requests) {
        let json = message.json();
        match request.is_job() {
            false => assert_eq!(message.payload, request.body),
            true => {
                assert_eq!(json["job"]["name"], request.json()["name"]);
                assert_eq!(json["run"]["reference_id"], request.json()["run_reference_id"]);
            }
        }
        assert_eq!(message.subject, format!("pipefold.runs.{}", &hash[..32]));
        assert!(message.header("Nats-Msg-Id").is_some(), "{message:?}");
    }

    let forwarder = fleet.forward(&[]);
    fleet.wait_until_empty();
    assert_eq!(record(&fleet.ci), record(&direct));
    assert_eq!(states(&fleet.ci), states(&direct));
    let dx = &fleet.ci.dx;
    assert_eq!(
        (dx.run_requests().len(), dx.job_requests().len(), dx.jobs_refused()),
        (1, 2, 0),
        "all of it was there: it is one request, and one for each job"
    );
    let log = forwarder.stop();
    assert!(!log.contains(fleet.ci.dx.token()), "the token is in the log: {log}");
}

/// A pipeline with six steps in processes of their own: one is retried, one is allowed to fail, and two run at the same time.
const SIX_STEPS: [&str; 9] = [
    "start --started-at 2025-01-01T11:00:00Z --head-branch main",
    "step --step build --status success --started-at 2025-01-01T11:01:00Z --finished-at 2025-01-01T11:02:00Z",
    "step --step unit --now --status failure --started-at 2025-01-01T11:02:00Z --finished-at 2025-01-01T11:03:00Z",
    "step --step lint --allow-failure --status failure --started-at 2025-01-01T11:02:00Z --finished-at 2025-01-01T11:02:30Z",
    "step --step unit --status success --started-at 2025-01-01T11:03:00Z --finished-at 2025-01-01T11:04:00Z",
    "step --step docs --status cancelled --started-at 2025-01-01T11:03:00Z --finished-at 2025-01-01T11:03:10Z",
    "step --step pack --now --status success --started-at 2025-01-01T11:04:00Z --finished-at 2025-01-01T11:05:00Z",
    "step --step push --status success --started-at 2025-01-01T11:05:00Z --finished-at 2025-01-01T11:06:00Z",
    "finish --status success --finished-at 2025-01-01T11:07:00Z",
];

#[test]
fn six_steps_are_six_jobs_as_without_a_queue() {
    let Some(fleet) = Fleet::start("six_steps_are_six_jobs_as_without_a_queue") else {
        return;
    };
    let direct = Ci::new();
    for command in SIX_STEPS {
        direct.report(command.split(' ')).run().assert_code(0);
        fleet.report(RUN, command).run().assert_code(0);
    }
    let forwarders = [fleet.forward(&[]), fleet.forward(&[])];
    fleet.wait_until_empty();
    assert_eq!(states(&direct).len(), 6);
    assert_eq!(states(&fleet.ci), states(&direct));
    assert_eq!(record(&fleet.ci), record(&direct));
    let dx = &fleet.ci.dx;
    assert!(dx.requests()[0].is_run());
    assert_eq!(dx.jobs_refused(), 0);
    let (runs, jobs) = (dx.run_requests().len(), dx.job_requests().len());
    // The second forwarder may get some of the messages: another request for the run, or for the job with two states.
    assert!(
        runs <= 2 && (6..=7).contains(&jobs),
        "{runs} for the run, {jobs} for six jobs"
    );
    for forwarder in forwarders {
        forwarder.stop();
    }
}

#[test]
fn an_exec_needs_no_token_and_keeps_the_exit_code() {
    let Some(fleet) = Fleet::start("an_exec_needs_no_token_and_keeps_the_exit_code") else {
        return;
    };
    let forwarder = fleet.forward(&[]);
    let exec = fleet.told(fleet.ci.exec(["sh", "-c", "echo out; echo err >&2; exit 3"]));
    let output = exec.run();
    output.assert_code(3);
    assert_eq!(output.stdout(), "out\n");
    assert!(output.stderr().starts_with("err\n"), "{output}");
    eventually("DX knows how it ended", || {
        let records = fleet.ci.dx.records();
        records.get(RUN).is_some_and(|record| record.finished_at.is_some())
    });
    assert_eq!(fleet.ci.record().status, "failure");
    forwarder.stop();
}

#[test]
fn a_runs_parts_may_go_through_two_forwarders_late_and_one_by_one() {
    let Some(fleet) = Fleet::start("a_runs_parts_may_go_through_two_forwarders_late_and_one_by_one") else {
        return;
    };
    let direct = Ci::new();
    for command in PIPELINE_COMMANDS {
        direct.report(command.split(' ')).run().assert_code(0);
    }
    // In the wrong order, each sent before the next one comes.
    let mut bodies: Vec<Vec<u8>> = direct
        .dx
        .run_requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    bodies.reverse();
    let forwarders = [fleet.forward(&[]), fleet.forward(&[])];
    for body in &bodies {
        fleet.publish("pipefold.runs.00000000000000000000000000000000", body);
        fleet.wait_until_empty();
    }
    assert_eq!(record(&fleet.ci), record(&direct));
    assert_eq!(fleet.ci.dx.requests().len(), bodies.len());
    for forwarder in forwarders {
        forwarder.stop();
    }
}

#[test]
fn a_forwarder_reports_its_health() {
    let Some(fleet) = Fleet::start("a_forwarder_reports_its_health") else {
        return;
    };
    let forwarder = fleet.forward(&[]);
    fleet.report(RUN, PIPELINE_COMMANDS[0]).run().assert_code(0);
    fleet.wait_until_empty();
    let health = forwarder.get("/healthz");
    assert_eq!(health.status, 200, "{}", health.text());
    let metrics = forwarder.get("/metrics").text();
    assert!(
        metrics.lines().any(|line| line.starts_with("# TYPE pipefold_")),
        "{metrics}"
    );
    assert!(
        metrics.lines().any(|line| line.ends_with(" 1")),
        "one upsert: {metrics}"
    );
    assert!(!metrics.contains(fleet.ci.dx.token()));
    assert_eq!(forwarder.get("/nothing").status, 404);
    forwarder.stop();

    // Not for every user, and the refusal comes at once, also while the queue is away.
    let arguments = ["--listen", "0.0.0.0:0", "--queue", "nats://127.0.0.1:1"];
    let command = fleet
        .ci
        .pipefold(["forward"])
        .args(arguments)
        .env_remove("DX_API_TOKEN");
    let token = fleet.ci.directory().join("dx-token");
    std::fs::write(&token, fleet.ci.dx.token()).unwrap();
    let exposed = command.args(["--token-file".into(), token.into_os_string()]).run();
    exposed.assert_code(1);
    assert!(exposed.stderr().contains("--listen-anywhere"), "{exposed}");
}
