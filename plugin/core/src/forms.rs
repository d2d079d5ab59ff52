//! Answers as JSON. Members are sorted by name, as `pipefold hook` writes them, without absent fields.

use pipefold_plugin::{Attribute, Fault, Job, Report, Run, Status, Verdict, Violation};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The JSON form of a value.
pub struct Form<'a, T: ?Sized>(pub &'a T);

/// Writes a member, unless it is absent.
fn member<M: SerializeMap>(object: &mut M, name: &str, value: &Option<impl Serialize>) -> Result<(), M::Error> {
    match value {
        Some(value) => object.serialize_entry(name, value),
        None => Ok(()),
    }
}

/// An error by itself.
impl Serialize for Form<'_, str> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        object.serialize_entry("error", self.0)?;
        object.end()
    }
}

impl Serialize for Form<'_, Verdict> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        let verdict = match self.0 {
            Verdict::Report(report) => {
                members(&mut object, report)?;
                "report"
            }
            Verdict::Hold => "hold",
            Verdict::Discard(reason) => {
                object.serialize_entry("reason", reason)?;
                "discard"
            }
        };
        object.serialize_entry("verdict", verdict)?;
        object.end()
    }
}

impl Serialize for Form<'_, Report> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        members(&mut object, self.0)?;
        object.end()
    }
}

/// Writes a report's members.
fn members<M: SerializeMap>(object: &mut M, Report { run, jobs }: &Report) -> Result<(), M::Error> {
    object.serialize_entry("jobs", &Form(jobs.as_slice()))?;
    object.serialize_entry("run", &Form(run))
}

impl Serialize for Form<'_, [Job]> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_seq(self.0.iter().map(Form))
    }
}

impl Serialize for Form<'_, Job> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Job {
            reference_id,
            name,
            status,
            started_at,
            finished_at,
        } = self.0;
        let mut object = json.serialize_map(None)?;
        member(&mut object, "finished_at", finished_at)?;
        object.serialize_entry("name", name)?;
        object.serialize_entry("reference_id", reference_id)?;
        member(&mut object, "started_at", started_at)?;
        object.serialize_entry("status", status_name(*status))?;
        object.end()
    }
}

impl Serialize for Form<'_, Run> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Run {
            pipeline_name,
            pipeline_source,
            reference_id,
            started_at,
            finished_at,
            status,
            repository,
            commit_sha,
            pr_number,
            source_url,
            head_branch,
            email,
            github_username,
            gitlab_username,
            attributes,
        } = self.0;
        let attributes = Some(Form(attributes.as_slice())).filter(|_| !attributes.is_empty());
        let mut object = json.serialize_map(None)?;
        member(&mut object, "attributes", &attributes)?;
        member(&mut object, "commit_sha", commit_sha)?;
        member(&mut object, "email", email)?;
        member(&mut object, "finished_at", finished_at)?;
        member(&mut object, "github_username", github_username)?;
        member(&mut object, "gitlab_username", gitlab_username)?;
        member(&mut object, "head_branch", head_branch)?;
        object.serialize_entry("pipeline_name", pipeline_name)?;
        object.serialize_entry("pipeline_source", pipeline_source)?;
        member(&mut object, "pr_number", pr_number)?;
        object.serialize_entry("reference_id", reference_id)?;
        member(&mut object, "repository", repository)?;
        member(&mut object, "source_url", source_url)?;
        object.serialize_entry("started_at", started_at)?;
        object.serialize_entry("status", status_name(*status))?;
        object.end()
    }
}

impl Serialize for Form<'_, [Attribute]> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.0.iter().map(|Attribute { key, value }| (key, value)))
    }
}

impl Serialize for Form<'_, [Violation]> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        object.serialize_entry("violations", &Violations(self.0))?;
        object.end()
    }
}

struct Violations<'a>(&'a [Violation]);

impl Serialize for Violations<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_seq(self.0.iter().map(Form))
    }
}

impl Serialize for Form<'_, Violation> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Violation { fault, field, message } = self.0;
        let mut object = json.serialize_map(None)?;
        object.serialize_entry("fault", fault_name(*fault))?;
        object.serialize_entry("field", field)?;
        object.serialize_entry("message", message)?;
        object.end()
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Running => "running",
        Status::Success => "success",
        Status::Cancelled => "cancelled",
        Status::Failure => "failure",
    }
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::RequiredParamsMissing => "required_params_missing",
        Fault::InvalidTimestamp => "invalid_timestamp",
        Fault::InvalidStatus => "invalid_status",
        Fault::RepositoryRequired => "repository_required",
        Fault::InvalidPrNumber => "invalid_pr_number",
        Fault::TooLong => "too_long",
        Fault::InvalidText => "invalid_text",
        Fault::MixedRuns => "mixed_runs",
        Fault::InvalidAttribute => "invalid_attribute",
    }
}
