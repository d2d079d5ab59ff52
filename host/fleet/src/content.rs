//! The contents of messages: the upsert of a run, or of a job with its run.
//!
//! A run's message is DX's JSON of `pipelineRuns.upsert`, byte for byte. A job's message is `{"run": …, "job": …}`: the run as its sender had
//! judged it, in the same form, and the job with DX's names. The run is there so that a forwarder with this message alone can ask its
//! policies about the job, and can send the run if DX does not know it.

use pipefold::dx::{Arguments, Upsert};
use pipefold::spool::RunKey;
use pipefold::{Job, Notification, Run};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The largest upsert that is read: the texts of a run and of a job with 4 KiB each, each byte escaped, with room. The rules refuse what is
/// longer.
pub const MAX_BODY: usize = 512 * 1024;

/// The content of a message, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The run. In a job's message its state when the job was published.
    pub run: Notification,
    /// The step, in the message of a job.
    pub job: Option<Notification>,
}

/// The body of a job's message.
#[derive(Serialize)]
struct JobMessage<'a> {
    run: Upsert<'a>,
    job: &'a Job,
}

/// A body's parts, if it is a job's message. A run's message has none of them.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    run: Option<Map<String, Value>>,
    #[serde(default)]
    job: Option<Map<String, Value>>,
}

/// The body of a job's message.
pub fn job_message(run: &Run, job: &Job) -> Vec<u8> {
    let run = Upsert::from(run);
    // Cannot fail: it has only text and numbers under fixed names.
    serde_json::to_vec(&JobMessage { run, job }).unwrap_or_default()
}

impl Content {
    /// Reads a body.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > MAX_BODY {
            return Err(format!("it has {} bytes, and {MAX_BODY} are read", body.len()));
        }
        // Checks the depth; a job's message has none of these arguments at its top.
        let said = Arguments::from_foreign_json(body).map_err(|why| why.to_string())?;
        let wrong = |why: serde_json::Error| format!("the job could not be parsed: {why}");
        let Parts { run, job } = serde_json::from_slice(body).map_err(wrong)?;
        let Some(job) = job else {
            let run = Notification::from(said);
            return Ok(Self { run, job: None });
        };
        let run: Run = serde_json::from_value(run.unwrap_or_default().into()).map_err(wrong)?;
        let job: Job = serde_json::from_value(job.into()).map_err(wrong)?;
        // The rules would read a step without a name as the whole run.
        if job.name.trim().is_empty() || job.reference_id.trim().is_empty() {
            return Err("the job has no name or no reference_id".to_owned());
        }
        let step = Notification {
            // The run's status is that of its own upserts: a failed job must not become the run's failure.
            allowed_to_fail: true,
            ..job.into_notification(&run)
        };
        Ok(Self {
            run: run.into(),
            job: Some(step),
        })
    }

    /// The run's key. The rules check the id; upserts without one share a key.
    pub fn key(&self) -> RunKey {
        RunKey::of(self.run.reference_id.as_deref().unwrap_or_default())
    }

    /// The job's id, if it is a job.
    pub fn job_id(&self) -> Option<&str> {
        let job = self.job.as_ref()?;
        job.step_id.as_deref().or(job.step.as_deref())
    }

    /// The notifications that stand for it: the run, then the job.
    pub fn into_notifications(self) -> Vec<Notification> {
        std::iter::once(self.run).chain(self.job).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use pipefold::{Attribute, Status};

    fn run() -> Run {
        serde_json::from_value(serde_json::json!({
            "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z", "status": "running",
            "email": "a@b.c",
        }))
        .unwrap()
    }

    fn job(id: &str, status: Status) -> Job {
        Job {
            reference_id: id.into(),
            name: "lint".into(),
            status,
            started_at: Some("2025-01-01T12:06:00Z".into()),
            finished_at: None,
        }
    }

    #[test]
    fn a_job_is_read_back_with_its_run() {
        let sent = Run {
            attributes: vec![Attribute {
                key: "team".into(),
                value: "x".into(),
            }],
            ..run()
        };
        let body = job_message(&sent, &job("lint-1", Status::Unknown));
        assert!(
            !String::from_utf8_lossy(&body).contains("team"),
            "attributes are not DX's"
        );
        let content = Content::parse(&body).unwrap();
        assert_eq!(content.run, Notification::from(run()));
        assert_eq!((content.job_id(), content.key()), (Some("lint-1"), RunKey::of("r")));
        let step = content.job.unwrap();
        assert_eq!(
            (step.step.as_deref(), step.status.as_deref()),
            (Some("lint"), Some("unknown"))
        );
        let same = Content::parse(&job_message(&run(), &job("lint", Status::Success))).unwrap();
        assert_eq!(same.job_id(), Some("lint"));
    }

    #[test]
    fn a_run_is_no_job() {
        let content = Content::parse(&pipefold::dx::body(&run())).unwrap();
        assert_eq!((content.job_id(), content.job.is_none()), (None, true));
        assert_eq!(content.into_notifications(), [Notification::from(run())]);
    }

    #[test]
    fn the_longest_fields_fit() {
        let long = "\u{1}".repeat(4096);
        let run: Run = serde_json::from_value(serde_json::json!({
            "pipeline_name": long, "pipeline_source": long, "reference_id": long, "started_at": "2025-01-01T12:05:00Z",
            "repository": long, "commit_sha": long, "source_url": long, "head_branch": long, "email": long, "github_username": long,
            "gitlab_username": long,
        }))
        .unwrap();
        let job = Job {
            name: long.clone(),
            ..job(&long, Status::Failure)
        };
        assert!(job_message(&run, &job).len() < MAX_BODY);
    }

    #[test]
    fn torn_and_hostile_jobs_are_refused_with_a_reason() {
        let whole = String::from_utf8(job_message(&run(), &job("lint", Status::Success))).unwrap();
        let deep = format!(
            r#"{{"run":{{}},"job":{{"x":{}1{}}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        for body in [
            &whole[..whole.len() - 1],
            r#"{"job":{"reference_id":"a","name":"a"}}"#,
            r#"{"run":{},"job":{"reference_id":"a","name":"a"}}"#,
            r#"{"run":[],"job":{"reference_id":"a","name":"a"}}"#,
            &whole.replace("\"success\"", "\"exploded\""),
            &whole.replace("\"name\":\"lint\"", "\"name\":7"),
            &whole.replace("\"name\":\"lint\"", "\"name\":\" \""),
            &whole.replace("\"reference_id\":\"lint\"", "\"reference_id\":\"\""),
            &whole.replace("\"job\":{", "\"job\":[{").replace("}}", "}]}"),
            &deep,
        ] {
            let why = Content::parse(body.as_bytes()).unwrap_err();
            assert!(why.len() < 300, "{why}");
        }
        let long = whole.replace("a@b.c", &"x".repeat(MAX_BODY));
        assert!(Content::parse(long.as_bytes()).unwrap_err().contains("are read"));
    }
}
