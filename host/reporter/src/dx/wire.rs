//! The bodies of requests to DX, and the steps that other servers take. DX has no argument for steps: they are sent only to servers whose
//! answer to an upsert says that they show them.

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

/// The header by which a server says that it takes steps, and its value.
pub const TAKES_STEPS: (&str, &str) = ("pipefold-steps", "taken");

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

/// An upsert about steps. Of the run it has only the names, as judged: values that a policy removed are not in it.
#[derive(Serialize)]
struct StepsUpsert<'a> {
    pipeline_name: &'a str,
    pipeline_source: &'a str,
    reference_id: &'a str,
    started_at: &'a str,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allowed_to_fail: bool,
}

/// The body with a run's first thousand steps; none if no notification is about one.
pub fn steps_body<'a>(run: &'a Run, notifications: impl IntoIterator<Item = &'a Notification>) -> Option<Vec<u8>> {
    let steps: Vec<Step<'a>> = notifications
        .into_iter()
        .filter_map(|notification| {
            Some(Step {
                step: notification.step.as_deref()?,
                status: notification.status.as_deref(),
                started_at: notification.started_at.as_deref(),
                finished_at: notification.finished_at.as_deref(),
                allowed_to_fail: notification.allowed_to_fail,
            })
        })
        .take(MAX_STEPS)
        .collect();
    if steps.is_empty() {
        return None;
    }
    serde_json::to_vec(&StepsUpsert {
        pipeline_name: &run.pipeline_name,
        pipeline_source: &run.pipeline_source,
        reference_id: &run.reference_id,
        started_at: &run.started_at,
        steps,
    })
    .ok()
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

    fn run() -> Run {
        serde_json::from_str(
            r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"2025-01-01T12:05:00Z","status":"success","email":"a@b.c"}"#,
        )
        .unwrap()
    }

    fn step(name: &str, status: &str) -> Notification {
        Notification {
            step: Some(name.into()),
            status: Some(status.into()),
            started_at: Some("2025-01-01T12:06:00Z".into()),
            finished_at: Some("2025-01-01T12:07:00Z".into()),
            allowed_to_fail: status == "failure",
            email: Some("somebody@example.com".into()),
            ..Notification::default()
        }
    }

    #[test]
    fn steps_arrive_as_notifications_of_their_own() {
        let told = [
            step("lint", "failure"),
            Notification::default(),
            step("test", "success"),
        ];
        let body = steps_body(&run(), &told).unwrap();
        let arrived = Arguments::from_foreign_json(&body).unwrap().into_notifications();
        let expected = |of: &Notification| Notification {
            pipeline_name: Some("p".into()),
            pipeline_source: Some("s".into()),
            reference_id: Some("r".into()),
            // Other values of a step's record are not sent.
            email: None,
            ..of.clone()
        };
        assert_eq!(arrived, [expected(&told[0]), expected(&told[2])]);
        assert_eq!(steps_body(&run(), &told[1..2]), None);
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
        let many = vec![step("x", "success"); MAX_STEPS + 5];
        let body = steps_body(&run(), &many).unwrap();
        assert_eq!(Arguments::from_foreign_json(&body).unwrap().steps.len(), MAX_STEPS);
    }
}
