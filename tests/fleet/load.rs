//! Builds that report all the time, each with a list of its accepted upserts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use pipefold_tests::{SpoolContent, until};
use serde_json::json;

use crate::accepted::Accepted;
use crate::gateway::Gateway;
use crate::place::Fleet;

/// The pause between a runner's commands: a machine of two processors must have something left for the servers.
const PAUSE: Duration = Duration::from_millis(30);

/// The pause between a gateway's notifications.
const GATEWAY_PAUSE: Duration = Duration::from_millis(20);

/// The limit of upserts without an answer: more than the longest run has, where each death of a gateway leaves one.
const MOST_AGAIN: u32 = 1000;

/// The limit for records to get from the spools into a healthy stream.
const PATIENCE: Duration = Duration::from_secs(120);

/// One machine that runs `pipefold` in one build after the other, over a spool of its own.
pub struct Runner {
    name: String,
    spool: PathBuf,
    random: Rng,
    /// The number of runs that it began.
    runs: u64,
}

impl Runner {
    pub fn new(directory: &Path, number: usize, seed: u64) -> Self {
        Self {
            name: format!("runner-{number}"),
            spool: directory.join(format!("runner-{number}")),
            random: Rng::with_seed(seed ^ (number as u64 + 1)),
            runs: 0,
        }
    }

    /// Reports until `stop` is set, each run to its end. Whatever becomes of the queue, no command may fail or take long.
    pub fn work(&mut self, fleet: &Fleet, limit: Duration, stop: &AtomicBool) -> Accepted {
        let mut accepted = Accepted::default();
        while !stop.load(Ordering::Relaxed) {
            let number = self.runs;
            self.runs += 1;
            let name = format!("{}/{number}", self.name);
            let (start, status) = (self.random.u64(..1800), self.random.usize(..3));
            let status = ["success", "failure", "cancelled"][status];
            let upserts = [
                json!({ "started_at": time(start), "head_branch": format!("branch-{number}"), "status": "running" }),
                json!({ "step": "compile", "started_at": time(start + 60), "email": format!("{number}@example.com"), "status": "success" }),
                // The step is run once more, and DX gets that with the end of the run.
                json!({ "step": "compile", "started_at": time(start + 120), "finished_at": time(start + 130), "status": "failure" }),
                json!({ "started_at": time(start), "finished_at": time(start + 600), "status": status,
                    "source_url": format!("https://ci.example/{number}") }),
            ];
            for (command, mut upsert) in ["start", "step --now", "step", "finish"].into_iter().zip(upserts) {
                let mut arguments = command.to_owned();
                for (field, value) in upsert.as_object().unwrap() {
                    // A start is always running.
                    if (command, field.as_str()) != ("start", "status") {
                        arguments += &format!(" --{} {}", field.replace('_', "-"), value.as_str().unwrap());
                    }
                }
                let output = fleet.report(&name, &arguments).env("PIPEFOLD_SPOOL", &self.spool).run();
                output.assert_code(0).assert_within(limit);
                for (field, value) in [
                    ("reference_id", name.as_str()),
                    ("pipeline_name", pipefold_tests::PIPELINE),
                    ("pipeline_source", pipefold_tests::SOURCE),
                ] {
                    upsert[field] = value.into();
                }
                accepted.add(upsert);
                std::thread::sleep(PAUSE);
            }
        }
        accepted
    }

    /// Delivers what is left, and checks that nothing stays behind.
    pub fn flush(&self, fleet: &Fleet) {
        let mut output = None;
        let flushed = until(PATIENCE, || {
            let flush = fleet
                .pipefold(["flush", "--timeout", "20s"])
                .env("PIPEFOLD_SPOOL", &self.spool);
            output = Some(flush.run());
            let content = SpoolContent::read(&self.spool);
            content.assert_sound(&self.name);
            assert!(content.rejections.is_empty(), "{:?}", content.rejections);
            (content.waiting().count() == 0).then_some(())
        });
        assert!(flushed.is_some(), "{} still waits: {output:?}", self.name);
    }
}

/// Sends upserts of many runs to a gateway that may die, in any order, until `stop` is set. Each upsert of a run has a field that no other has.
pub fn through_gateway(gateway: &Gateway, name: &str, seed: u64, stop: &AtomicBool) -> Accepted {
    const STATUSES: [&str; 5] = ["unknown", "running", "success", "cancelled", "failure"];
    const FIELDS: [&str; 5] = [
        "source_url",
        "head_branch",
        "email",
        "github_username",
        "gitlab_username",
    ];
    let (mut accepted, mut random, mut client) = (Accepted::default(), Rng::with_seed(seed), gateway.client());
    let mut again = 0;
    for batch in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut upserts = Vec::new();
        for run in 0..8 {
            for field in FIELDS {
                let start = random.u64(..1800);
                let mut upsert = json!({
                    "pipeline_name": "p", "pipeline_source": "tests", "reference_id": format!("{name}/{batch}-{run}"),
                    "started_at": time(start), "status": STATUSES[random.usize(..5)], field: format!("{field}-{batch}-{run}"),
                });
                if random.u64(..3) == 0 {
                    upsert["finished_at"] = time(start + random.u64(..600)).into();
                }
                upserts.push(upsert);
            }
        }
        random.shuffle(&mut upserts);
        for upsert in upserts {
            // An upsert without an answer may have been accepted or not: it is sent again, which changes nothing.
            loop {
                match client.upsert(&upsert) {
                    Ok(answer) if answer.status == 200 => break,
                    // It kept nothing: the machine was too busy to judge it in time.
                    Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                    Err(_) => client = gateway.client(),
                }
                again += 1;
                assert!(again < MOST_AGAIN, "{name}: the gateway takes nothing any more");
                std::thread::sleep(GATEWAY_PAUSE);
            }
            accepted.add(upsert);
            std::thread::sleep(GATEWAY_PAUSE);
        }
    }
    println!("{name}: {again} upserts were told again, as they were not answered or not taken");
    accepted
}

fn time(seconds: u64) -> String {
    format!(
        "2025-01-01T{:02}:{:02}:{:02}Z",
        11 + seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
