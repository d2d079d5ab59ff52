//! The body of a request to DX about a run.

use crate::http::USER_AGENT;
use pipefold_sandbox::{Run, Status};
use serde::Serialize;

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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
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
}
