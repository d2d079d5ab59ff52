//! DX's `pipelineJobs.upsert`: one step of a run. DX takes it only after the run. Its arguments for a client and for a server in DX's place.

use super::arguments::text;
use super::classify::{Outcome, Reply, classify};
use super::client::Answer;
use super::senders::{status, time};
use crate::token::Token;
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Job, Run};
use serde::{Deserialize, Serialize};

/// The method's path.
pub const JOB_METHOD_PATH: &str = "/api/pipelineJobs.upsert";

/// The arguments of `pipelineJobs.upsert`, under DX's own names. `unknown` is a status here, unlike in a run.
#[derive(Clone, Debug, Serialize)]
pub struct JobUpsert<'a> {
    pipeline_source: &'a str,
    run_reference_id: &'a str,
    reference_id: &'a str,
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<&'a str>,
}

impl<'a> JobUpsert<'a> {
    /// The arguments for a job of this run.
    #[must_use]
    pub fn new(run: &'a Run, job: &'a Job) -> Self {
        Self {
            pipeline_source: &run.pipeline_source,
            run_reference_id: &run.reference_id,
            reference_id: &job.reference_id,
            name: &job.name,
            status: job.status.as_str(),
            started_at: job.started_at.as_deref(),
            finished_at: job.finished_at.as_deref(),
        }
    }
}

/// The names of DX's arguments of `pipelineJobs.upsert`, without the token.
pub const JOB_ARGUMENT_NAMES: [&str; 7] = [
    "pipeline_source",
    "run_reference_id",
    "reference_id",
    "name",
    "status",
    "started_at",
    "finished_at",
];

/// The arguments of `pipelineJobs.upsert` as clients send them, unchecked, and as leniently read as those of a run
/// ([`Arguments`](super::Arguments)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "each field is the argument of its name in DX's documentation"
)]
pub struct JobArguments {
    #[serde(deserialize_with = "text")]
    pub pipeline_source: Option<String>,
    #[serde(deserialize_with = "text")]
    pub run_reference_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub reference_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(deserialize_with = "status")]
    pub status: Option<String>,
    #[serde(deserialize_with = "time")]
    pub started_at: Option<String>,
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<String>,
}

/// The body of a request about a job: a JSON object.
#[must_use]
pub fn job_body(run: &Run, job: &Job) -> Vec<u8> {
    // Cannot fail: it has only text under fixed names.
    serde_json::to_vec(&JobUpsert::new(run, job)).unwrap_or_default()
}

/// Returns the outcome of an answer to a job: as [`classify`], and [`Outcome::NoMethod`] if the server has no such method.
#[must_use]
pub fn classify_job(reply: &Reply<'_>, now: DateTime<Utc>, token: Option<&Token>) -> Outcome {
    let lacks_method = match (reply.status, Answer::parse(reply.body)) {
        (405, _) | (404 | 410 | 501, None) => true,
        (200..=499 | 501, Some(answer)) => !answer.ok && answer.error.as_deref() == Some("unknown_method"),
        _ => false,
    };
    if lacks_method {
        return Outcome::NoMethod { status: reply.status };
    }
    classify(reply, now, token)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::dx::{from_foreign_json, from_form};
    use pipefold_sandbox::Status;

    fn outcome(status: u16, body: &str) -> Outcome {
        let reply = Reply {
            status,
            body: body.as_bytes(),
            ..Reply::default()
        };
        classify_job(&reply, Utc::now(), None)
    }

    #[test]
    fn a_body_is_read_back_and_senders_forms_are_taken() {
        let run: Run = serde_json::from_str(
            r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"2025-01-01T12:05:00Z"}"#,
        )
        .unwrap();
        let job = Job {
            reference_id: "build/1".into(),
            name: "build".into(),
            status: Status::Unknown,
            started_at: Some("2025-01-01T12:05:00Z".into()),
            finished_at: None,
        };
        let given: JobArguments = from_foreign_json(&job_body(&run, &job)).unwrap();
        let expected = JobArguments {
            pipeline_source: Some("s".into()),
            run_reference_id: Some("r".into()),
            reference_id: Some("build/1".into()),
            name: Some("build".into()),
            status: Some("unknown".into()),
            started_at: Some("2025-01-01T12:05:00Z".into()),
            finished_at: None,
        };
        assert_eq!(given, expected);
        let form = b"run_reference_id=7&status=UNSTABLE&started_at=1735733100&finished_at=1735733400250";
        let given: JobArguments = from_form(form).unwrap();
        assert_eq!(
            (given.run_reference_id.as_deref(), given.status.as_deref()),
            (Some("7"), Some("failure"))
        );
        assert_eq!(
            (given.started_at.as_deref(), given.finished_at.as_deref()),
            (Some("2025-01-01T12:05:00Z"), Some("2025-01-01T12:10:00.250Z"))
        );
        for name in JOB_ARGUMENT_NAMES {
            let wrong = format!(r#"{{"{name}":{{}}}}"#);
            assert!(from_foreign_json::<JobArguments>(wrong.as_bytes()).is_err(), "{name}");
        }
        assert!(from_foreign_json::<JobArguments>(b"[]").is_err());
    }

    #[test]
    fn a_server_without_the_method_is_not_one_that_refuses_a_job() {
        let unknown = r#"{"ok":false,"error":"unknown_method"}"#;
        for (status, body) in [
            (404, ""),
            (404, "<html>"),
            (405, ""),
            (405, unknown),
            (404, unknown),
            (200, unknown),
            (410, ""),
            (501, ""),
        ] {
            assert_eq!(outcome(status, body), Outcome::NoMethod { status }, "{status} {body}");
        }
        let refused = r#"{"ok":false,"error":"pipeline_run_not_found"}"#;
        for status in [404, 422] {
            assert!(matches!(outcome(status, refused), Outcome::Refused { .. }), "{status}");
        }
        assert!(matches!(outcome(503, ""), Outcome::Retry { .. }));
        assert_eq!(outcome(200, r#"{"ok":true}"#), Outcome::Accepted);
    }
}
