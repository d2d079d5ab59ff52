//! A hundred thousand files wait: a build must hardly notice.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipefold::spool::RunKey;
use pipefold_tests::{Ci, Mode, Output, PIPELINE, Pipefold, RUN, SOURCE, SpoolContent};
use serde_json::{Value, json};
use tempfile::TempDir;

const FILES: u64 = 100_000;
/// The limit of a command: several times each budget here, and less than a hundred thousand files with a request for each would take.
const SOON: Duration = Duration::from_secs(40);
/// The time that a command may take beside its budget on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(8);

/// Writes `files` records of `runs` runs: in each run a waiting start, and for the rest held steps.
fn fill(spool: &Path, runs: u64, files: u64, template: &Value) {
    for run in 0..runs {
        let reference_id = format!("waiting-{run}");
        let directory = spool.join("runs").join(RunKey::of(&reference_id).to_string());
        fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let mut record = template.clone();
        record["notification"]["reference_id"] = json!(reference_id);
        record["notification"]["started_at"] = json!("2025-01-01T11:00:00Z");
        let step = record.to_string();
        record["hook"] = json!("start");
        record["notification"]["step"] = Value::Null;
        record["verdict"] = json!({ "report": { "run": {
            "pipeline_name": PIPELINE, "pipeline_source": SOURCE, "reference_id": reference_id,
            "started_at": "2025-01-01T11:00:00Z", "status": "running",
        }}});
        fs::write(directory.join(format!("{:032x}.json", 0)), record.to_string()).unwrap();
        let first = directory.join(format!("{:032x}.json", 1));
        for number in 1..files / runs {
            let file = directory.join(format!("{number:032x}.json"));
            // To the spool a hard link is a second file, and making one is quick.
            if number == 1 {
                fs::write(&file, &step)
            } else {
                fs::hard_link(&first, &file)
            }
            .unwrap();
        }
    }
}

/// A machine with so many runs in its spool. That lies in memory if possible: a hundred thousand directories take a disk half a minute.
struct Crowd {
    ci: Ci,
    spool: PathBuf,
    _directory: TempDir,
}

impl Crowd {
    fn new(operator: &str, runs: u64, files: u64) -> Self {
        let builder = tempfile::Builder::new();
        let directory = builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).unwrap();
        let crowd = Self {
            ci: Ci::new(),
            spool: directory.path().join("spool"),
            _directory: directory,
        };
        crowd.ci.operator(operator);
        let template = crowd.template();
        fill(&crowd.spool, runs, files, &template);
        crowd
    }

    fn run(&self, command: Pipefold) -> Output {
        let output = command.env("PIPEFOLD_SPOOL", &self.spool).run();
        // The harness shows this when the test fails.
        println!("{output}");
        output
    }

    fn report<const N: usize>(&self, arguments: [&str; N]) -> Output {
        self.run(self.ci.report(arguments))
    }

    /// A record as the command itself writes it for this DX, taken out of the spool again.
    fn template(&self) -> Value {
        self.report(["step", "--step", "s", "--status", "success"])
            .assert_code(0);
        let mut content = SpoolContent::read(&self.spool);
        let record = content.records.pop().expect("the step was recorded");
        fs::remove_dir_all(self.spool.join("runs").join(record.run)).unwrap();
        record.json
    }

    fn is_not_held_up(&self) {
        self.report(["start"]).assert_code(0).assert_within(SOON);
        assert_eq!(self.ci.record().status, "running", "one's own run goes first");
        for step in ["1", "2", "3", "4", "5"] {
            self.report(["step", "--step", step]).assert_code(0).assert_within(SOON);
        }
        let wrapped = self.report(["step", "--step", "wrapped", "--", "sh", "-c", "exit 3"]);
        wrapped.assert_code(3).assert_within(SOON);
        self.report(["finish", "--status", "success"])
            .assert_code(0)
            .assert_within(SOON);
        assert!(self.ci.record().finished_at.is_some());
    }

    /// Reports finishes, which deliver the waiting records and free the spool.
    fn report_run_and_empty(&self) {
        for round in 0..2 {
            let finish = self.run(self.ci.report_run(&format!("emptying-{round}"), ["finish"]));
            finish.assert_code(0);
        }
        assert_eq!(SpoolContent::read(&self.spool).waiting().count(), 0);
    }

    /// The number of waiting runs that DX has by now.
    fn delivered(&self) -> usize {
        self.ci.dx.records().keys().filter(|name| *name != RUN).count()
    }
}

/// An operator's file with room for everything, and these budgets in seconds.
fn roomy(seconds: u64) -> String {
    format!("spool_limit = \"2 GiB\"\n[budgets]\nstart = \"{seconds}s\"\nfinish = \"{seconds}s\"\n")
}

#[test]
fn a_thousand_runs_of_a_hundred_steps_delay_no_build() {
    let crowd = Crowd::new(&roomy(1), 1_000, FILES);
    crowd.is_not_held_up();
    // What the build's budgets did not suffice for, a flush delivers.
    let flush = crowd.run(crowd.ci.pipefold(["flush", "--timeout", "50s"]));
    flush.assert_code(0);
    assert_eq!(crowd.delivered(), 1_000);
}

#[test]
fn a_hundred_thousand_runs_delay_no_build() {
    // A debug build on a busy machine takes seconds to list so many names alone.
    let crowd = Crowd::new(&roomy(8), FILES, FILES);
    crowd.is_not_held_up();
    assert!(crowd.delivered() > 0, "and others came along");
    let flush = crowd.run(crowd.ci.pipefold(["flush", "--timeout", "1s"]));
    flush.assert_code(0).assert_within(SOON);
    assert!(
        flush.stderr().contains("not looked at"),
        "what is left is said: {flush}"
    );
}

#[test]
fn past_its_limit_a_spool_takes_nothing_new_and_loses_nothing_old() {
    // Each of these takes two blocks of 4 KiB, so they are twice what may be.
    let crowd = Crowd::new(
        "spool_limit = \"1 MiB\"\n[budgets]\nstart = \"100ms\"\nfinish = \"100ms\"\n",
        256,
        256,
    );
    crowd.ci.dx.set_mode(Mode::InternalError);
    crowd
        .run(crowd.ci.pipefold(["flush", "--timeout", "100ms"]))
        .assert_code(0);
    let refused = crowd.report(["finish", "--status", "success"]);
    refused.assert_code(0);
    assert!(
        refused.stderr().contains("more than 1 MiB"),
        "it says why, and what to do: {refused}"
    );
    assert_eq!(SpoolContent::read(&crowd.spool).waiting().count(), 256);

    // From memory it is delivered all the same.
    crowd.ci.dx.set_mode(Mode::Normal);
    crowd.ci.operator("spool_limit = \"1 MiB\"\n");
    crowd.report(["finish", "--status", "success"]).assert_code(0);
    assert!(crowd.ci.record().finished_at.is_some());

    crowd
        .run(crowd.ci.pipefold(["flush", "--timeout", "50s"]))
        .assert_code(0);
    assert_eq!(crowd.delivered(), 256);
    let accepted = crowd.run(crowd.ci.report_run("next", ["step", "--step", "s"]));
    accepted.assert_code(0);
    assert_eq!(accepted.stderr(), "", "there is room again");
    assert!(
        SpoolContent::read(&crowd.spool)
            .records
            .iter()
            .any(|record| record.field("step") == "s")
    );
}

/// Checks that a command takes no longer in a full spool than in an empty one: in turns and the least of each, until that is so, since
/// other work on the machine comes and goes.
fn costs_nothing(crowd: &Crowd) {
    let empty = Crowd::new(&roomy(20), 1, 0);
    let took = |crowd: &Crowd, round: u32| {
        let begin = std::time::Instant::now();
        let finish = crowd
            .ci
            .report_run(&format!("beside-{round}"), ["finish", "--status", "success"]);
        crowd.run(finish).assert_code(0);
        begin.elapsed()
    };
    let (mut usual, mut beside) = (Duration::MAX, Duration::MAX);
    for round in 0..40 {
        usual = usual.min(took(&empty, round));
        beside = beside.min(took(crowd, round));
        if beside < usual + Duration::from_millis(100) {
            return;
        }
    }
    panic!("{beside:?}, usually {usual:?}");
}

#[test]
fn a_thousand_runs_that_cannot_be_delivered_cost_a_build_nothing() {
    // Runs of killed jobs: a step that is held, and no end.
    let held = Crowd::new(&roomy(20), 1, 0);
    let template = held.template();
    for run in 0..1_000 {
        let reference_id = format!("held-{run}");
        let directory = held.spool.join("runs").join(RunKey::of(&reference_id).to_string());
        fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let mut record = template.clone();
        record["notification"]["reference_id"] = json!(reference_id);
        fs::write(directory.join(format!("{:032x}.json", u128::MAX)), record.to_string()).unwrap();
    }
    // Directories that have not changed for some seconds are not read again: the wait is the condition.
    std::thread::sleep(Duration::from_secs(4));
    held.report(["start"]).assert_code(0);
    costs_nothing(&held);
}

#[test]
fn two_thousand_delivered_runs_cost_a_build_nothing() {
    let done = Crowd::new(&roomy(60), 2_000, 2_000);
    // Older than the second after which they are abandoned.
    std::thread::sleep(Duration::from_millis(1_500));
    done.run(done.ci.pipefold(["flush", "--timeout", "50s", "--abandon", "1s"]))
        .assert_code(0);
    assert!(fs::read_dir(done.spool.join("done")).unwrap().count() >= 2_000);
    costs_nothing(&done);
}

#[test]
fn a_backlog_in_an_outage_overdraws_no_budget() {
    let crowd = Crowd::new(
        "spool_limit = \"2 GiB\"\n[budgets]\nstart = \"1s\"\nfinish = \"2s\"\n",
        3_000,
        3_000,
    );
    for mode in [
        Mode::RefuseConnections,
        Mode::InternalError,
        Mode::NotOk {
            code: "internal_error".into(),
            status: 200,
        },
    ] {
        crowd.ci.dx.set_mode(mode.clone());
        let output = crowd.report(["start"]);
        output.assert_code(0);
        output.assert_within(Duration::from_secs(1) + SLACK);
        let output = crowd.report(["finish"]);
        output.assert_code(0);
        output.assert_within(Duration::from_secs(2) + SLACK);
    }
    assert!(crowd.ci.dx.requests().len() < 100, "{}", crowd.ci.dx.requests().len());
}

#[test]
fn a_spool_that_was_full_takes_steps_when_it_was_emptied_and_ends_before() {
    let crowd = Crowd::new(
        "spool_limit = \"1 MiB\"\n[budgets]\nstart = \"100ms\"\nfinish = \"100ms\"\n",
        130,
        130,
    );
    crowd.ci.dx.set_mode(Mode::InternalError);
    crowd
        .run(crowd.ci.pipefold(["flush", "--timeout", "100ms"]))
        .assert_code(0);
    // What decides how the run goes has a place where its other steps have none.
    let step = crowd.report(["step", "--step", "s", "--status", "success"]);
    insta::assert_snapshot!(
        "full_spool",
        step.stderr().replace(&crowd.spool.display().to_string(), "[spool]")
    );
    let step = crowd.report(["step", "--step", "s", "--status", "failure"]);
    assert!(!step.stderr().contains("more than 1 MiB"), "{step}");
    let finish = crowd.report(["finish", "--status", "success"]);
    assert!(!finish.stderr().contains("more than 1 MiB"), "{finish}");
    crowd.ci.dx.set_mode(Mode::Normal);
    crowd
        .ci
        .operator("spool_limit = \"1 MiB\"\n[budgets]\nfinish = \"30s\"\n");
    crowd.report_run_and_empty();
    for number in 0..20 {
        let step = crowd.run(
            crowd
                .ci
                .report_run("next", ["step", "--step", &number.to_string(), "--status", "failure"]),
        );
        assert_eq!(step.assert_code(0).stderr(), "");
    }
}

#[test]
fn a_run_that_is_too_large_to_be_read_at_once_is_sent_and_so_is_its_end() {
    let crowd = Crowd::new(&roomy(30), 1, 0);
    let template = crowd.template();
    crowd.report(["start"]).assert_code(0);
    let directory = crowd.spool.join("runs").join(RunKey::of(RUN).to_string());
    let mut record = template;
    for field in [
        "source_url",
        "head_branch",
        "email",
        "github_username",
        "gitlab_username",
        "repository",
    ] {
        record["notification"][field] = json!("x".repeat(4_000));
    }
    record["notification"]["reference_id"] = json!(RUN);
    (record["hook"], record["verdict"]) = (json!("step"), json!("hold"));
    for number in 0..1_500 {
        record["notification"]["step"] = json!(format!("step {number}"));
        record["notification"]["status"] = json!(if number == 700 { "failure" } else { "success" });
        // Random ids of steps sort after those of the start and the end.
        let id = format!("{:02x}{number:030x}", 2 + number % 250);
        fs::write(directory.join(format!("{id}.json")), record.to_string()).unwrap();
    }
    let finish = crowd.report(["finish"]);
    finish.assert_code(0).assert_within(Duration::from_secs(60));
    let record = crowd.ci.record();
    assert!(record.finished_at.is_some(), "{finish}");
    assert_eq!(
        record.status, "failure",
        "what outranks the others is not what is left out"
    );
    assert_eq!(SpoolContent::read(&crowd.spool).waiting().count(), 0);
    assert!(finish.stderr().contains("left out"), "{finish}");
}

#[test]
fn runs_of_killed_jobs_are_ended_on_request_or_after_an_age() {
    let crowd = Crowd::new(&roomy(10), 1, 0);
    crowd.run(crowd.ci.report_run("killed-1", ["start"])).assert_code(0);
    crowd
        .run(
            crowd
                .ci
                .report_run("killed-1", ["step", "--step", "s", "--status", "success"]),
        )
        .assert_code(0);
    crowd.run(crowd.ci.report_run("killed-2", ["start"])).assert_code(0);
    crowd.run(crowd.ci.pipefold(["flush"])).assert_code(0);
    // Older than the two seconds after which they are abandoned below.
    std::thread::sleep(Duration::from_millis(2_200));
    assert_eq!(crowd.ci.record_of("killed-1").status, "running", "not by default");
    let flush = crowd.run(crowd.ci.pipefold(["flush", "--abandon", "1h"]));
    flush.assert_code(0);
    assert_eq!(crowd.ci.record_of("killed-1").status, "running", "nor before its time");
    let flush = crowd.run(crowd.ci.pipefold(["flush", "--abandon", "2s", "--run", "killed-1"]));
    assert!(
        flush.assert_code(0).stderr().contains("1 ended as cancelled"),
        "{flush}"
    );
    assert_eq!(crowd.ci.record_of("killed-1").status, "cancelled");
    assert!(
        crowd.ci.record_of("killed-1").finished_at.is_none(),
        "when it ended is not known"
    );
    // By the operator's setting, whatever command comes next.
    let next = crowd.run(
        crowd
            .ci
            .report_run("next", ["finish"])
            .env("PIPEFOLD_ABANDON_AFTER", "2s"),
    );
    next.assert_code(0);
    assert_eq!(crowd.ci.record_of("killed-2").status, "cancelled");
    assert_eq!(crowd.ci.record_of("next").status, "unknown");
    let left = fs::read_dir(crowd.spool.join("runs")).unwrap().count();
    assert_eq!(left, 0, "and they leave the way");
}
