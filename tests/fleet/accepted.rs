//! The upserts that a queue or gateway accepted, compared with DX's records.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_standin::jobs;
use pipefold_tests::{fold, until};
use serde_json::Value;

use crate::place::Fleet;

/// The limit for a minute's backlog to drain at the lowest rate of a test, with the queue's wait for an acknowledgement from a forwarder that
/// has died.
const DRAIN: Duration = Duration::from_secs(300);

/// The accepted upserts, by run. An upsert with a `step` is about a job.
#[derive(Default)]
pub struct Accepted(BTreeMap<String, Vec<Value>>);

impl Accepted {
    /// Adds an upsert.
    pub fn add(&mut self, upsert: Value) {
        let name = upsert["reference_id"].as_str().unwrap().to_owned();
        self.0.entry(name).or_default().push(upsert);
    }

    /// Adds the upserts of other runs.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The number of runs.
    pub fn runs(&self) -> usize {
        self.0.len()
    }

    /// The number of upserts.
    pub fn notifications(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Waits until the queue is empty, and DX's record of each run is the fold of what was accepted.
    pub fn assert_told(&self, fleet: &Fleet) {
        let (mut waiting, mut wrong) = (0, Vec::new());
        let all_known = until(DRAIN, || {
            (waiting, wrong) = (fleet.waiting(), self.wrong(fleet));
            (waiting == 0 && wrong.is_empty()).then_some(())
        });
        assert!(
            all_known.is_some(),
            "{} of {} runs are wrong or missing, {waiting} upserts wait\n{}",
            wrong.len(),
            self.runs(),
            wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
        );
        assert_eq!(fleet.refused(), 0, "nothing of it was wrong");
        assert_eq!(fleet.ci.dx.jobs_refused(), 0, "each run was sent before its jobs");
    }

    /// The runs that DX does not know, or knows wrongly.
    fn wrong(&self, fleet: &Fleet) -> Vec<String> {
        let (known, known_jobs) = (fleet.ci.dx.records(), fleet.ci.dx.all_jobs());
        let compare = |(name, upserts): (&String, &Vec<Value>)| {
            let runs: Vec<Value> = upserts.iter().map(about_run).collect();
            let (expected, expected_jobs) = (fold(&runs), Value::from(jobs(upserts)));
            let Some(record) = known.get(name) else {
                return Some(format!("{name} is lost: {expected}"));
            };
            let record = bare(record.to_json());
            let jobs = known_jobs.get(name).map_or(&[][..], Vec::as_slice);
            let jobs: Value = jobs.iter().map(|job| bare(job.to_json())).collect();
            let is_right = record == expected && jobs == expected_jobs;
            (!is_right).then(|| format!("{name} is {record} {jobs}\n  and should be {expected} {expected_jobs}"))
        };
        self.0.iter().filter_map(compare).collect()
    }
}

/// A record without the number of requests.
fn bare(mut record: Value) -> Value {
    record.as_object_mut().unwrap().remove("upserts");
    record
}

/// The content of an upsert about the run: a step has a status and a finish of its own.
fn about_run(upsert: &Value) -> Value {
    let mut upsert = upsert.clone();
    if upsert.get("step").is_some() {
        let fields = upsert.as_object_mut().unwrap();
        fields.retain(|field, _| !["step", "status", "finished_at"].contains(&field.as_str()));
    }
    upsert
}
