//! The fold of requests into records, by the rule on DX's page ("Usage info").

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::arguments::{Upsert, check, text};

/// DX's priority list, lowest first.
const PRIORITY: [&str; 5] = ["unknown", "running", "success", "cancelled", "failure"];

/// DX's record of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The run's name.
    pub reference_id: String,
    /// The pipeline's name.
    pub pipeline_name: String,
    /// The system that ran it.
    pub pipeline_source: String,
    /// The earliest start given; RFC 3339 in UTC, zeros at the end of a fraction left away.
    pub started_at: String,
    /// The latest finish given, in the same form.
    pub finished_at: Option<String>,
    /// One of DX's statuses, or `unknown`.
    pub status: String,
    /// The number of the pull request.
    pub pr_number: Option<i64>,
    /// The other arguments, by DX's names; of each the last one given.
    pub others: BTreeMap<String, String>,
    /// The number of accepted requests that it was made of.
    pub upserts: usize,
}

impl Record {
    /// One of the arguments without a field of its own, such as `head_branch`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.others.get(name).map(String::as_str)
    }

    /// The record as JSON with DX's own names, and `upserts`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "reference_id": self.reference_id, "pipeline_name": self.pipeline_name, "pipeline_source": self.pipeline_source,
            "started_at": self.started_at, "status": self.status, "upserts": self.upserts,
        });
        if let Some(finished_at) = &self.finished_at {
            out["finished_at"] = json!(finished_at);
        }
        if let Some(pr_number) = self.pr_number {
            out["pr_number"] = json!(pr_number);
        }
        for (name, value) in &self.others {
            out[name] = json!(value);
        }
        out
    }
}

/// The choice between several values of a field. DX's page gives no rule for the fields other than times and status.
#[derive(Clone, Copy)]
enum Others {
    /// The value given last, as a server that replaces values does.
    Last,
    /// The greatest text or number, by pipefold's contract.
    Greatest,
}

/// The record of one run that pipefold's contract prescribes for these upserts, in any order: the earliest start, the latest finish, the
/// highest status and the greatest value of each other field. This is the oracle of all tests; the names are DX's own.
///
/// # Panics
/// If there is no upsert, or DX would refuse one.
#[must_use]
pub fn fold<'a>(upserts: impl IntoIterator<Item = &'a Value>) -> Value {
    let read = |upsert: &Value| {
        let given = upsert.as_object().cloned().unwrap_or_default();
        check(given).unwrap_or_else(|why| panic!("{why:?}: {upsert}"))
    };
    let upserts: Vec<Upsert> = upserts.into_iter().map(read).collect();
    let mut record = fold_run(&upserts.iter().collect::<Vec<_>>(), Others::Greatest).to_json();
    record.as_object_mut().and_then(|fields| fields.remove("upserts"));
    record
}

/// DX's records by `reference_id`, from the upserts in the order of their arrival.
pub(crate) fn records(upserts: &[Upsert]) -> BTreeMap<String, Record> {
    let mut runs: BTreeMap<&str, Vec<&Upsert>> = BTreeMap::new();
    for upsert in upserts {
        runs.entry(&upsert.reference_id).or_default().push(upsert);
    }
    runs.into_iter()
        .map(|(reference_id, upserts)| (reference_id.to_owned(), fold_run(&upserts, Others::Last)))
        .collect()
}

/// The place of a status in DX's priority list. An unlisted word counts as unknown: the page has no error for it.
pub(crate) fn rank(status: &str) -> usize {
    PRIORITY.iter().position(|known| *known == status).unwrap_or_default()
}

fn fold_run(upserts: &[&Upsert], rule: Others) -> Record {
    let mut sorted = upserts.to_vec();
    sorted.sort_by_key(|upsert| upsert.started_at);
    let mut status = 0;
    for upsert in &sorted {
        let newer = rank(&text(&upsert.given, "status").unwrap_or_default());
        if newer > status {
            status = newer;
        }
    }
    let mut others: BTreeMap<String, String> = BTreeMap::new();
    for upsert in upserts {
        for name in upsert.given.keys() {
            let Some(value) = text(&upsert.given, name) else {
                continue;
            };
            // Numbers by size: of two of one sign and base, the longer is the greater.
            let order = |text: &str| (if name == "pr_number" { text.len() } else { 0 }, text.to_owned());
            let is_kept =
                matches!(rule, Others::Greatest) && others.get(name).is_some_and(|known| order(known) > order(&value));
            if !is_kept {
                others.insert(name.clone(), value);
            }
        }
    }
    for folded in ["started_at", "finished_at", "status"] {
        others.remove(folded);
    }
    Record {
        reference_id: others.remove("reference_id").unwrap_or_default(),
        pipeline_name: others.remove("pipeline_name").unwrap_or_default(),
        pipeline_source: others.remove("pipeline_source").unwrap_or_default(),
        started_at: upserts
            .iter()
            .map(|upsert| upsert.started_at)
            .min()
            .map(format_time)
            .unwrap_or_else(|| panic!("a record needs an upsert")),
        finished_at: upserts
            .iter()
            .filter_map(|upsert| upsert.finished_at)
            .max()
            .map(format_time),
        status: PRIORITY.get(status).copied().unwrap_or_default().to_owned(),
        pr_number: others.remove("pr_number").and_then(|number| number.parse().ok()),
        others,
        upserts: upserts.len(),
    }
}

pub(crate) fn format_time(time: DateTime<Utc>) -> String {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}
