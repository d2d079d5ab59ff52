//! The arguments of `pipelineRuns.upsert` and `pipelineJobs.upsert`: read from JSON or a form, and checked by the rules of DX's pages.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};

/// The arguments that must be there (DX's page, "Required arguments").
const REQUIRED: [&str; 4] = ["pipeline_name", "pipeline_source", "reference_id", "started_at"];
/// The same of a job.
const REQUIRED_OF_JOB: [&str; 5] = ["pipeline_source", "run_reference_id", "reference_id", "name", "status"];
/// The statuses of a job. Unlike those of a run, they are a closed list.
const JOB_STATUSES: [&str; 5] = ["success", "failure", "cancelled", "running", "unknown"];

/// An accepted request about a run.
#[derive(Clone, Debug)]
pub(crate) struct Upsert {
    pub(crate) reference_id: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// All arguments, as given.
    pub(crate) given: Map<String, Value>,
}

/// An accepted request about a job.
#[derive(Clone, Debug)]
pub(crate) struct JobUpsert {
    pub(crate) pipeline_source: String,
    pub(crate) run_reference_id: String,
    pub(crate) reference_id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// All arguments, as given.
    pub(crate) given: Map<String, Value>,
}

/// One of DX's error codes, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Reads a body.
///
/// # Errors
///
/// `invalid_json` if it is not an object.
pub(crate) fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        return Ok(parse_form(body));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(given)) => Ok(given),
        Ok(_) => Err(refuse("invalid_json", "The JSON body is not an object.".to_owned())),
        Err(why) => Err(refuse(
            "invalid_json",
            format!("The JSON body of the request could not be parsed: {why}."),
        )),
    }
}

/// Checks what was given of a run.
///
/// # Errors
///
/// `required_params_missing` or `invalid_timestamp`, in this order.
pub(crate) fn check(given: Map<String, Value>) -> Result<Upsert, Refusal> {
    let mut absent = absent(&given, &REQUIRED);
    let is_given = |name: &str| text(&given, name).is_some();
    if !is_given("repository") && (is_given("commit_sha") || is_given("pr_number")) {
        absent.push("repository");
    }
    refuse_absent(&absent)?;
    Ok(Upsert {
        reference_id: text(&given, "reference_id").unwrap_or_default(),
        started_at: time(&given, "started_at")?.unwrap_or_default(),
        finished_at: time(&given, "finished_at")?,
        given,
    })
}

/// Checks what was given of a job.
///
/// # Errors
///
/// `required_params_missing`, `invalid_status` or `invalid_timestamp`, in this order.
pub(crate) fn check_job(given: Map<String, Value>) -> Result<JobUpsert, Refusal> {
    refuse_absent(&absent(&given, &REQUIRED_OF_JOB))?;
    let required = |name| text(&given, name).unwrap_or_default();
    let status = required("status");
    if !JOB_STATUSES.contains(&status.as_str()) {
        let message = format!("status was none of {}.", JOB_STATUSES.join(", "));
        return Err(refuse("invalid_status", message));
    }
    Ok(JobUpsert {
        pipeline_source: required("pipeline_source"),
        run_reference_id: required("run_reference_id"),
        reference_id: required("reference_id"),
        name: required("name"),
        status,
        started_at: time(&given, "started_at")?,
        finished_at: time(&given, "finished_at")?,
        given,
    })
}

/// The required arguments that are not given.
fn absent<'a>(given: &Map<String, Value>, required: &[&'a str]) -> Vec<&'a str> {
    let is_absent = |name: &&str| text(given, name).is_none();
    required.iter().copied().filter(is_absent).collect()
}

fn refuse_absent(absent: &[&str]) -> Result<(), Refusal> {
    if absent.is_empty() {
        return Ok(());
    }
    let message = format!("Not provided: {}.", absent.join(", "));
    Err(refuse("required_params_missing", message))
}

/// An argument as a time; none if it is not given.
///
/// # Errors
///
/// `invalid_timestamp`
pub(crate) fn time(given: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let unreadable = || {
        let message = format!("{name} was not a readable ISO-8601 date format.");
        refuse("invalid_timestamp", message)
    };
    let read = |value: String| parse_time(&value).ok_or_else(unreadable);
    text(given, name).map(read).transpose()
}

/// An argument as text; none if it is absent, null or blank.
pub(crate) fn text(given: &Map<String, Value>, name: &str) -> Option<String> {
    let value = match given.get(name)? {
        Value::String(value) => value.clone(),
        Value::Number(value) => value.to_string(),
        _ => return None,
    };
    (!value.trim().is_empty()).then_some(value)
}

/// A time in one of the forms that DX's page shows, or with a zone. Without one it is UTC.
fn parse_time(value: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(value) {
        return Some(time.to_utc());
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())
        .or_else(|| NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    naive.map(|time| time.and_utc())
}

/// A body of `application/x-www-form-urlencoded`; all values are text.
fn parse_form(body: &[u8]) -> Map<String, Value> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let middle = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(middle);
            (
                percent_decode(name),
                Value::String(percent_decode(value.get(1..).unwrap_or_default())),
            )
        })
        .collect()
}

fn percent_decode(text: &[u8]) -> String {
    let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, hex(text.get(at)), hex(text.get(at + 1))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(*other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn refuse(code: &'static str, message: String) -> Refusal {
    Refusal { code, message }
}
