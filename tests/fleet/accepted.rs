//! The upserts that a queue or gateway accepted, compared with DX's records.

use std::collections::BTreeMap;
use std::time::Duration;

use pipefold_tests::{fold, until};
use serde_json::Value;

use crate::place::Fleet;

/// The limit for a minute's backlog to drain at the lowest rate of a test, with the queue's wait for an acknowledgement from a forwarder that
/// has died.
const DRAIN: Duration = Duration::from_secs(300);

/// The accepted upserts, by run.
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
    }

    /// The runs that DX does not know, or knows wrongly.
    fn wrong(&self, fleet: &Fleet) -> Vec<String> {
        let known = fleet.ci.dx.records();
        let compare = |(name, upserts): (&String, &Vec<Value>)| {
            let expected = fold(upserts);
            let Some(record) = known.get(name) else {
                return Some(format!("{name} is lost: {expected}"));
            };
            let mut record = record.to_json();
            record.as_object_mut().unwrap().remove("upserts");
            (record != expected).then(|| format!("{name} is {record}\n  and should be {expected}"))
        };
        self.0.iter().filter_map(compare).collect()
    }
}
