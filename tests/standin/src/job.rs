//! The jobs of a run, as DX has them and as pipefold's contract wants them.

use std::collections::BTreeMap;

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

/// The jobs of one run that pipefold's contract prescribes for these notifications, in any order, sorted by `reference_id`: the oracle beside
/// [`fold`](crate::fold()).
///
/// A notification with a `step` is about a job, which is named by its `step_id`, or else by the step. Those of the latest start give the job:
/// their highest status, their latest finish and their greatest name. No start is before every start.
///
/// # Panics
/// If a time is not ISO 8601.
#[must_use]
pub fn jobs<'a>(notifications: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    let mut steps: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    for notification in notifications {
        let given = notification.as_object().cloned().unwrap_or_default();
        let Some(name) = text(&given, "step") else { continue };
        let reference_id = text(&given, "step_id").unwrap_or_else(|| name.clone());
        steps.entry(reference_id).or_default().push(read(&given, name));
    }
    steps
        .into_iter()
        .map(|(reference_id, all)| latest(reference_id, all))
        .collect()
}

/// A notification of a step.
struct Step {
    name: String,
    status: String,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

fn read(given: &Map<String, Value>, name: String) -> Step {
    let at = |field| time(given, field).unwrap_or_else(|why| panic!("{why:?}: {given:?}"));
    Step {
        name,
        status: text(given, "status").unwrap_or_else(|| "unknown".to_owned()),
        started_at: at("started_at"),
        finished_at: at("finished_at"),
    }
}

/// The job of the notifications that started last.
fn latest(reference_id: String, mut all: Vec<Step>) -> Value {
    let started_at = all.iter().map(|step| step.started_at).max().flatten();
    all.retain(|step| step.started_at == started_at);
    let status = all
        .iter()
        .map(|step| step.status.as_str())
        .max_by_key(|status| rank(status));
    let name = all.iter().map(|step| step.name.as_str()).max();
    let mut job = json!({ "reference_id": reference_id, "name": name, "status": status });
    let finished_at = all.iter().filter_map(|step| step.finished_at).max();
    for (field, time) in [("started_at", started_at), ("finished_at", finished_at)] {
        if let Some(time) = time {
            job[field] = json!(format_time(time));
        }
    }
    job
}
