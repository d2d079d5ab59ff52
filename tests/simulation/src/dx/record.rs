//! DX's record of a run: folded by the rule of its page, in little memory, since there are a million runs.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::DateTime;
use serde_json::{Map, Value};

/// DX's priority list, lowest first (DX's page, "Usage info").
const PRIORITY: [&str; 5] = ["unknown", "running", "success", "cancelled", "failure"];

/// The fields that have no rule on DX's page: the load gives each run one value of each, so any rule gives that.
const OTHERS: [&str; 10] = [
    "pipeline_name",
    "pipeline_source",
    "repository",
    "commit_sha",
    "pr_number",
    "source_url",
    "head_branch",
    "email",
    "github_username",
    "gitlab_username",
];

/// A run's record; the default is that of an unknown run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The earliest start, in microseconds since 1970.
    started_at: Option<i64>,
    /// The latest finish, in the same.
    finished_at: Option<i64>,
    /// The rank of its status.
    status: u8,
    /// A digest of the last value of each other field, 0 if there was none.
    others: [u32; OTHERS.len()],
}

impl Record {
    /// Folds the arguments of an upsert into the record.
    ///
    /// # Errors
    /// The first fault in them.
    pub fn take(&mut self, given: &Map<String, Value>) -> Result<(), String> {
        let started_at = time(given, "started_at")?.ok_or("started_at is missing")?;
        let finished_at = time(given, "finished_at")?;
        let status = match given.get("status") {
            None | Some(Value::Null) => 0,
            Some(status) => PRIORITY
                .iter()
                .position(|known| status == known)
                .ok_or_else(|| format!("there is no status {status}"))?,
        };
        self.started_at = Some(self.started_at.map_or(started_at, |known| known.min(started_at)));
        self.finished_at = self.finished_at.max(finished_at);
        // A higher one stays, whichever came first.
        self.status = self.status.max(status as u8);
        for (field, kept) in OTHERS.iter().zip(&mut self.others) {
            if let Some(value) = given.get(*field).filter(|value| !value.is_null()) {
                *kept = digest(value);
            }
        }
        Ok(())
    }

    /// Returns true if DX would show it as done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }

    /// Returns true if DX got an upsert of it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.started_at.is_some()
    }
}

/// DX's record of a job: the arguments of the last request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    source: Value,
    name: Value,
    status: Value,
    /// In microseconds since 1970, as the finish.
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl JobRecord {
    /// The record of these arguments.
    ///
    /// # Errors
    /// The first fault in them.
    pub fn of(given: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| {
            let value = given.get(name).filter(|value| value.is_string());
            value.cloned().ok_or_else(|| format!("{name} is missing"))
        };
        Ok(Self {
            source: text("pipeline_source")?,
            name: text("name")?,
            status: text("status")?,
            started_at: time(given, "started_at")?,
            finished_at: time(given, "finished_at")?,
        })
    }
}

fn time(given: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    let Some(value) = given.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let parsed = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let time = parsed.ok_or_else(|| format!("{name} is no time, but {value}"))?;
    Ok(Some(time.timestamp_micros()))
}

/// The digest of a value; never 0, which stands for none.
fn digest(value: &Value) -> u32 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    (hasher.finish() as u32).max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folded(upserts: &[Value]) -> Record {
        let mut record = Record::default();
        for upsert in upserts {
            record.take(upsert.as_object().unwrap()).unwrap();
        }
        record
    }

    #[test]
    fn the_example_of_the_page_in_any_order() {
        let all = [
            json!({ "started_at": "2025-01-01T11:25:18Z", "status": "running" }),
            json!({ "started_at": "2025-01-01T11:25:21Z", "status": "success" }),
            json!({ "started_at": "2025-01-01T11:24:40Z", "status": "failure", "email": "a@b.c" }),
            json!({ "started_at": "2025-01-01T11:26:07Z", "finished_at": "2025-01-01T11:46:07.500Z", "status": "success" }),
        ];
        let whole = json!({ "started_at": "2025-01-01T11:24:40Z", "finished_at": "2025-01-01T11:46:07.5Z", "status": "failure", "email": "a@b.c" });
        let mut backwards = all.to_vec();
        backwards.reverse();
        assert_eq!(folded(&all), folded(&backwards));
        assert_eq!(folded(&all), folded(&[whole]));
        assert_ne!(
            folded(&all),
            folded(&[&all[..2], &all[3..]].concat()),
            "without the failure"
        );
        assert!(!folded(&all[..3]).is_finished() && folded(&all).is_finished());
    }

    #[test]
    fn each_field_counts() {
        let base = json!({ "started_at": "2025-01-01T11:25:18Z" });
        for field in OTHERS {
            let (mut one, mut other) = (base.clone(), base.clone());
            one[field] = json!("a");
            other[field] = json!("b");
            assert_ne!(folded(&[one]), folded(&[other]), "{field}");
        }
    }
}
