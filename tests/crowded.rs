//! A hundred thousand files wait: a build must hardly notice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipefold::spool::RunKey;
use pipefold_tests::{Ci, Mode, Output, PIPELINE, Pipefold, RUN, SOURCE, SpoolContent};
use serde_json::{Value, json};
use tempfile::TempDir;

const FILES: u64 = 100_000;
/// Several times each budget here, and less than walking a hundred thousand files with a request for each would take.
const SOON: Duration = Duration::from_secs(20);

/// Puts records of `runs` runs there: in each a start that waits, and for the rest held steps, so many that all are `files`.
fn fill(spool: &Path, runs: u64, files: u64, template: &Value) {
    for run in 0..runs {
        let reference_id = format!("waiting-{run}");
        let directory = spool.join("runs").join(RunKey::of(&reference_id).to_string());
        fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let mut record = template.clone();
        record["notification"]["reference_id"] = json!(reference_id);
        let step = record.to_string();
        record["hook"] = json!("start");
        record["notification"]["step"] = Value::Null;
        record["verdict"] = json!({ "report": {
            "pipeline_name": PIPELINE, "pipeline_source": SOURCE, "reference_id": reference_id,
            "started_at": "2025-01-01T11:00:00Z", "status": "running",
        }});
        fs::write(directory.join(format!("{:032x}.json", 0)), record.to_string()).unwrap();
        let first = directory.join(format!("{:032x}.json", 1));
        for number in 1..files / runs {
            let file = directory.join(format!("{number:032x}.json"));
            // The spool cannot tell a second name of a file from a second file, and making one is quick.
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

    /// What the command itself records for this DX, taken out of the spool again.
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

    /// How many of the runs that waited DX has.
    fn delivered(&self) -> usize {
        self.ci.dx.records().keys().filter(|name| *name != RUN).count()
    }
}

/// Room for everything, and these budgets in seconds.
fn roomy(seconds: u64) -> String {
    format!("spool_limit = \"2 GiB\"\n[budgets]\nstart = \"{seconds}s\"\nfinish = \"{seconds}s\"\n")
}

#[test]
fn a_thousand_runs_of_a_hundred_steps_hold_nobody_up() {
    let crowd = Crowd::new(&roomy(1), 1_000, FILES);
    crowd.is_not_held_up();
    // What the build's budgets did not suffice for, a flush delivers.
    let flush = crowd.run(crowd.ci.pipefold(["flush", "--timeout", "50s"]));
    flush.assert_code(0);
    assert_eq!(crowd.delivered(), 1_000);
}

#[test]
fn a_hundred_thousand_runs_hold_nobody_up() {
    // A debug build on a busy machine takes a second to list so many names alone.
    let crowd = Crowd::new(&roomy(3), FILES, FILES);
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
