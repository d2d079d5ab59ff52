//! The jobs of a run, as DX has them and as pipefold's contract wants them.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::arguments::{JobUpsert, text, time};
use crate::fold::{format_time, rank};

/// DX's record of one job of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The job's name within its run.
    pub reference_id: String,
    /// The name that people see.
    pub name: String,
    /// One of DX's statuses.
    pub status: String,
    /// The start, in the form of [`Record::started_at`](crate::Record::started_at).
    pub started_at: Option<String>,
    /// The finish, in the same form.
    pub finished_at: Option<String>,
    /// The number of accepted requests about it.
    pub upserts: usize,
}

impl Job {
    /// The job as JSON with DX's own names, and `upserts`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "reference_id": self.reference_id, "name": self.name, "status": self.status, "upserts": self.upserts,
        });
        for (name, time) in [("started_at", &self.started_at), ("finished_at", &self.finished_at)] {
            if let Some(time) = time {
                out[name] = json!(time);
            }
        }
        out
    }
}

/// DX's jobs by run, each in the order of first arrival. DX's page gives no rule for an update; here the last request replaces the job whole.
pub(crate) fn by_run(upserts: &[JobUpsert]) -> BTreeMap<String, Vec<Job>> {
    let mut runs: BTreeMap<String, Vec<Job>> = BTreeMap::new();
    for upsert in upserts {
        let jobs = runs.entry(upsert.run_reference_id.clone()).or_default();
        let mut job = Job {
            reference_id: upsert.reference_id.clone(),
            name: upsert.name.clone(),
            status: upsert.status.clone(),
            started_at: upsert.started_at.map(format_time),
            finished_at: upsert.finished_at.map(format_time),
            upserts: 1,
        };
        match jobs.iter_mut().find(|known| known.reference_id == job.reference_id) {
            Some(known) => {
                job.upserts += known.upserts;
                *known = job;
            }
            None => jobs.push(job),
        }
    }
    runs
}

/// What decides among notifications of one step, most important first. No start is before every start, no finish before every finish.
type Decisive = (Option<DateTime<Utc>>, usize, Option<DateTime<Utc>>, String);

/// The jobs of one run that pipefold's contract prescribes for these notifications, in any order, sorted by `reference_id`: the oracle beside
/// [`fold`](crate::fold()).
///
/// A notification with a `step` is about a job, which is named by its `step_id`, or else by the step. Of a job's notifications the one with the
/// latest start decides; among equal starts that of the higher status, then of the later finish, then of the greater name.
///
/// # Panics
/// If a time is not ISO 8601.
#[must_use]
pub fn jobs<'a>(notifications: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    let mut decisive: BTreeMap<String, (Decisive, Value)> = BTreeMap::new();
    for notification in notifications {
        let given = notification.as_object().cloned().unwrap_or_default();
        let Some(name) = text(&given, "step") else { continue };
        let reference_id = text(&given, "step_id").unwrap_or_else(|| name.clone());
        let candidate = read(&given, &reference_id, name);
        match decisive.entry(reference_id) {
            Entry::Vacant(place) => {
                place.insert(candidate);
            }
            Entry::Occupied(mut place) if candidate.0 > place.get().0 => {
                place.insert(candidate);
            }
            Entry::Occupied(_) => {}
        }
    }
    decisive.into_values().map(|(_, job)| job).collect()
}

/// A notification of a step, as what decides and as the job that it would be alone.
fn read(given: &Map<String, Value>, reference_id: &str, name: String) -> (Decisive, Value) {
    let at = |field| time(given, field).unwrap_or_else(|why| panic!("{why:?}: {given:?}"));
    let (started_at, finished_at) = (at("started_at"), at("finished_at"));
    let status = text(given, "status").unwrap_or_else(|| "unknown".to_owned());
    let mut job = json!({ "reference_id": reference_id, "name": name, "status": status });
    for (field, time) in [("started_at", started_at), ("finished_at", finished_at)] {
        if let Some(time) = time {
            job[field] = json!(format_time(time));
        }
    }
    ((started_at, rank(&status), finished_at, name), job)
}
