//! The bodies of requests to DX, and the steps in an upsert that a server in DX's place takes.

use super::arguments::{text, truth};
use crate::http::USER_AGENT;
use pipefold_sandbox::{Notification, Run, Status};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The headers sent with every run, besides `Authorization`, `Host` and `Content-Length`.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("User-Agent", USER_AGENT),
];

/// The arguments of `pipelineRuns.upsert`, under DX's own names (DX's page, "Arguments"); unknown values are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Upsert<'a> {
    pipeline_name: &'a str,
    pipeline_source: &'a str,
    reference_id: &'a str,
    started_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_sha: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pr_number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    github_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gitlab_username: Option<&'a str>,
}

impl<'a> From<&'a Run> for Upsert<'a> {
    fn from(run: &'a Run) -> Self {
        Self {
            pipeline_name: &run.pipeline_name,
            pipeline_source: &run.pipeline_source,
            reference_id: &run.reference_id,
            started_at: &run.started_at,
            finished_at: run.finished_at.as_deref(),
            // DX's page lists four; a run without a status has `unknown`.
            status: (run.status != Status::Unknown).then(|| run.status.as_str()),
            repository: run.repository.as_deref(),
            commit_sha: run.commit_sha.as_deref(),
            pr_number: run.pr_number,
            source_url: run.source_url.as_deref(),
            head_branch: run.head_branch.as_deref(),
            email: run.email.as_deref(),
            github_username: run.github_username.as_deref(),
            gitlab_username: run.gitlab_username.as_deref(),
        }
    }
}

/// The body of a request: a JSON object.
#[must_use]
pub fn body(run: &Run) -> Vec<u8> {
    // Cannot fail: it has only text and numbers under fixed names.
    serde_json::to_vec(&Upsert::from(run)).unwrap_or_default()
}

/// Steps in one upsert. Pipelines have dozens; a thousand of usual length fit into a body of 1 MiB several times over.
pub const MAX_STEPS: usize = 1000;

/// A step in an upsert, unchecked. Absent values are those of the upsert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StepArguments {
    /// The step's name.
    #[serde(deserialize_with = "text")]
    pub step: Option<String>,
    /// The step's result.
    #[serde(deserialize_with = "text")]
    pub status: Option<String>,
    /// The step's start.
    #[serde(deserialize_with = "text")]
    pub started_at: Option<String>,
    /// The step's end.
    #[serde(deserialize_with = "text")]
    pub finished_at: Option<String>,
    /// True if the step's failure is not the run's.
    #[serde(deserialize_with = "truth")]
    pub allowed_to_fail: bool,
}

/// Reads steps, each an object: serde would read an array's elements as the step's arguments in their order.
pub fn objects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StepArguments>, D::Error> {
    let steps = Vec::<Object>::deserialize(deserializer)?;
    Ok(steps.into_iter().map(|Object(step)| step).collect())
}

struct Object(StepArguments);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = StepArguments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StepArguments, A::Error> {
        StepArguments::deserialize(MapAccessDeserializer::new(map))
    }
}

impl StepArguments {
    /// The step as a notification of its own, of the run that `of` names.
    pub(super) fn of(self, of: &Notification) -> Notification {
        Notification {
            step: self.step.or_else(|| of.step.clone()),
            status: self.status,
            started_at: self.started_at.or_else(|| of.started_at.clone()),
            finished_at: self.finished_at,
            allowed_to_fail: self.allowed_to_fail,
            ..of.clone()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::dx::Arguments;
    use serde_json::{Value, json};

    #[test]
    fn example_of_the_page() {
        let example = json!({
            "pipeline_name": "build_panda_finder", "pipeline_source": "Tekton", "reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
            "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        });
        let run: Run = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body(&run)).unwrap(), example);
    }

    #[test]
    fn every_known_argument_is_sent() {
        let required = json!({ "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z" });
        let run: Run = serde_json::from_value(required.clone()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&body(&run)).unwrap(),
            required,
            "an unknown status is left away"
        );
        let mut full = required;
        full.as_object_mut().unwrap().extend(
            json!({
                "status": "cancelled", "finished_at": "2025-01-01T12:10:00Z", "repository": "o/r", "commit_sha": "abc", "pr_number": 1,
                "source_url": "https://ci/1", "head_branch": "main", "email": "a@b.c", "github_username": "g", "gitlab_username": "l",
            })
            .as_object()
            .unwrap()
            .clone(),
        );
        let run: Run = serde_json::from_value(full.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body(&run)).unwrap(), full);
    }

    #[test]
    fn numbers_of_steps_in_an_upsert() {
        let of = |json: &str| Arguments::from_foreign_json(json.as_bytes()).map(Arguments::into_notifications);
        assert_eq!(of(r#"{"reference_id":"r","steps":[]}"#).unwrap().len(), 1);
        let many = |count: usize| format!(r#"{{"steps":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(of(&many(MAX_STEPS)).unwrap().len(), MAX_STEPS);
        let error = of(&many(MAX_STEPS + 1)).unwrap_err().to_string();
        assert!(error.contains("1001 steps"), "{error}");
        assert!(of(r#"{"steps":{}}"#).is_err() && of(r#"{"steps":[1]}"#).is_err());
        assert!(of(r#"{"steps":[["lint"]]}"#).is_err());
    }
}
