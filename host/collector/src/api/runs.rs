//! `GET /api/runs` and `GET /api/runs/{reference_id}`: the query, and the JSON of the answers. The record in it has the names of DX's arguments.

use super::ApiState;
use crate::request::{Caller, Schemes, json, refused, store_failed};
use crate::store::{
    Cursor, Forwarding, KeptJob, MAX_PAGE, Page, Received, RunDetail, RunFilter, RunKey, RunQuery, RunSummary, bound,
};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use pipefold::dx::ErrorCode;
use pipefold_sandbox::{Job, Notification, Run, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Answers with runs, newest first: those of the pipelines that the token may see.
pub async fn list(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match RunsQuery::parse(request.uri().query().unwrap_or_default(), state.stale_before()) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let query = RunQuery {
        filter: asked.filter,
        access: (*caller.access).clone(),
        after: asked.after,
        limit: asked.limit,
    };
    match state.store.runs(query).await {
        Ok(page) => json(StatusCode::OK, &Runs::from(&page)),
        Err(error) => store_failed(&state.journal, error),
    }
}

/// Answers with a run and its notifications. A run that the token may not see counts as unknown.
pub async fn one(
    State(state): State<Arc<ApiState>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let unknown = || refused(ErrorCode::NotFound, "there is no such run");
    let Ok(Path(reference_id)) = path else { return unknown() };
    match state.store.run(RunKey::Reference(reference_id)).await {
        Ok(Some(run)) if caller.access.may_see(&run.summary.pipeline) => json(StatusCode::OK, &OneRun::from(&run)),
        Ok(_) => unknown(),
        Err(error) => store_failed(&state.journal, error),
    }
}

/// Returns the sender of a request, who may read.
///
/// # Errors
/// The answer to one who may not.
pub fn reader(state: &ApiState, request: &Request) -> Result<Caller, Box<Response>> {
    let schemes = Schemes::BearerOrBasic;
    let caller = Caller::of(
        (&state.gate, &state.journal),
        request.headers(),
        request.extensions(),
        schemes,
    );
    let caller = caller.map_err(|denied| Box::new(denied.answer(schemes)))?;
    if caller.access.reads() {
        Ok(caller)
    } else {
        Err(Box::new(refused(
            ErrorCode::NoPermission,
            "this token may report, and not read",
        )))
    }
}

/// A page of runs.
#[derive(Serialize)]
pub struct Runs<'a> {
    ok: bool,
    runs: Vec<Summary<'a>>,
    /// Cursor of the next page; null at the end.
    next: Option<String>,
    /// The number of runs that fit; null if they were not counted.
    total: Option<u64>,
}

impl<'a> From<&'a Page> for Runs<'a> {
    fn from(page: &'a Page) -> Self {
        Self {
            ok: true,
            runs: page.runs.iter().map(Summary::from).collect(),
            next: page.next.map(|cursor| cursor.to_string()),
            total: page.total.filter(|total| total.is_all).map(|total| total.runs),
        }
    }
}

/// A run with all its data.
#[derive(Serialize)]
struct OneRun<'a> {
    ok: bool,
    run: Detail<'a>,
}

impl<'a> From<&'a RunDetail> for OneRun<'a> {
    fn from(detail: &'a RunDetail) -> Self {
        Self {
            ok: true,
            run: Detail {
                summary: Summary::from(&detail.summary),
                received: detail.received.iter().map(Event::from).collect(),
                jobs: detail.jobs_by_start().into_iter().map(JobJson::from).collect(),
                forwarding: ForwardedJson::from(&detail.forwarding),
            },
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    id: u64,
    pipeline: &'a str,
    counter: u64,
    /// Without attributes: it has the names of DX's arguments.
    record: Run,
    attributes: BTreeMap<&'a str, &'a str>,
    notifications: u32,
    first_arrived: DateTime<Utc>,
    last_arrived: DateTime<Utc>,
    waiting_since: Option<DateTime<Utc>>,
}

impl<'a> From<&'a RunSummary> for Summary<'a> {
    fn from(run: &'a RunSummary) -> Self {
        Self {
            id: run.id,
            pipeline: &run.pipeline,
            counter: run.counter,
            record: Run {
                attributes: Vec::new(),
                ..run.record.clone()
            },
            attributes: run
                .record
                .attributes
                .iter()
                .map(|attribute| (&*attribute.key, &*attribute.value))
                .collect(),
            notifications: run.notifications,
            first_arrived: run.first_arrived,
            last_arrived: run.last_arrived,
            waiting_since: run.waiting_since,
        }
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    received: Vec<Event<'a>>,
    jobs: Vec<JobJson<'a>>,
    forwarding: ForwardedJson<'a>,
}

#[derive(Serialize)]
struct Event<'a> {
    notification: &'a Notification,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
    token: &'a str,
    arrived: DateTime<Utc>,
}

impl<'a> From<&'a Received> for Event<'a> {
    fn from(received: &'a Received) -> Self {
        Self {
            notification: &received.notification,
            held: received.held,
            token: &received.token,
            arrived: received.arrived,
        }
    }
}

#[derive(Serialize)]
struct JobJson<'a> {
    id: u64,
    #[serde(flatten)]
    job: &'a Job,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
    waiting_since: Option<DateTime<Utc>>,
}

impl<'a> From<&'a KeptJob> for JobJson<'a> {
    fn from(kept: &'a KeptJob) -> Self {
        Self {
            id: kept.id,
            job: &kept.job,
            held: kept.held,
            waiting_since: kept.waiting_since,
        }
    }
}

#[derive(Serialize)]
struct ForwardedJson<'a> {
    covered: u32,
    waiting_since: Option<DateTime<Utc>>,
    answer: Option<&'a crate::store::DxAnswer>,
}

impl<'a> From<&'a Forwarding> for ForwardedJson<'a> {
    fn from(forwarding: &'a Forwarding) -> Self {
        Self {
            covered: forwarding.covered,
            waiting_since: forwarding.waiting_since,
            answer: forwarding.answer.as_ref(),
        }
    }
}

/// The runs of a page by default.
const USUAL_PAGE: u16 = 50;

/// The longest value, in bytes: names are no longer.
const MAX_VALUE: usize = 4096;

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsQuery {
    pub filter: RunFilter,
    pub after: Option<Cursor>,
    limit: u16,
}

impl RunsQuery {
    /// Parses a query. An unknown or repeated parameter is an error: ignored, it would be a filter that does not filter.
    ///
    /// # Errors
    /// The fault, in a sentence.
    pub fn parse(query: &str, stale_before: DateTime<Utc>) -> Result<Self, String> {
        let mut asked = Self {
            filter: RunFilter::default(),
            after: None,
            limit: USUAL_PAGE,
        };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|seen| *seen == name) {
                return Err(format!("{name} is given twice"));
            }
            if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(format!("{name} is too long, or has control characters"));
            }
            let text = || Some(value.clone().into_owned());
            let filter = &mut asked.filter;
            match &*name {
                "pipeline" => filter.pipeline = text(),
                "branch" => filter.branch = text(),
                "person" => filter.person = text(),
                "repository" => filter.repository = text(),
                "source" => filter.source = text(),
                "commit" => filter.commit = text(),
                "pr" => filter.pr_number = Some(value.parse().map_err(|_| "pr: use a number, such as 12")?),
                "from" => filter.from = Some(time(&value, false).map_err(|why| format!("from: {why}"))?),
                "to" => filter.until = Some(time(&value, true).map_err(|why| format!("to: {why}"))?),
                "match" if matches!(&*value, "exact" | "part") => filter.parts = value == "part",
                "match" => return Err("match: use exact or part".to_owned()),
                "text" => filter.text = text(),
                "status" if value == "stale" => filter.stale_before = Some(stale_before),
                "status" => filter.status = Some(status(&value)?),
                "dx" if value == "refused" => filter.refused = true,
                "dx" => return Err("dx: use refused, or leave it out".to_owned()),
                "after" => asked.after = Some(value.parse().map_err(|error| format!("after: {error}"))?),
                "limit" => asked.limit = limit(&value)?,
                _ => {
                    // The name is not shown: it may be anything.
                    let known = "pipeline, status, branch, person, repository, source, commit, pr, from, to, match, text, dx, after, limit";
                    return Err(format!("the query has an unknown parameter; known ones are {known}"));
                }
            }
            seen.push(name.into_owned());
        }
        Ok(asked)
    }
}

fn status(text: &str) -> Result<Status, String> {
    let all = [
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| "status: use one of unknown, running, success, cancelled, failure, stale".to_owned())
}

fn time(text: &str, is_end: bool) -> Result<DateTime<Utc>, &'static str> {
    bound(text, is_end).ok_or("use a day, such as 2025-01-31, or a time with its zone")
}

/// Parses the size of a page.
///
/// # Errors
/// The fault, in a sentence.
pub fn limit(text: &str) -> Result<u16, String> {
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten();
    let fits = number.filter(|number| (1..=MAX_PAGE).contains(number));
    fits.ok_or_else(|| format!("limit: use a number from 1 to {MAX_PAGE}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_asked() {
        let parse = |query| RunsQuery::parse(query, DateTime::UNIX_EPOCH).unwrap();
        let asked = parse(
            "pipeline=a+b%2F&status=failure&branch=m&person=p&repository=r&source=s&commit=c&pr=7&from=2025-01-01&to=2025-01-31&match=part\
             &text=%23%231&dx=refused&limit=200&after=5.7",
        );
        let day = |text: &str| Some(format!("{text}T00:00:00Z").parse().unwrap());
        let filter = RunFilter {
            pipeline: Some("a b/".into()),
            status: Some(Status::Failure),
            branch: Some("m".into()),
            person: Some("p".into()),
            repository: Some("r".into()),
            source: Some("s".into()),
            commit: Some("c".into()),
            pr_number: Some(7),
            from: day("2025-01-01"),
            until: day("2025-02-01"),
            stale_before: None,
            active_since: None,
            refused: true,
            text: Some("##1".into()),
            parts: true,
        };
        assert_eq!(
            (asked.filter, asked.limit, asked.after.unwrap().to_string()),
            (filter, 200, "5.7".into())
        );
        let stale = parse("status=stale&from=2025-01-01T00:00:00%2B01:00").filter;
        assert_eq!((stale.status, stale.stale_before), (None, Some(DateTime::UNIX_EPOCH)));
        assert_eq!(stale.from.unwrap().to_rfc3339(), "2024-12-31T23:00:00+00:00");
        let nothing = parse("");
        assert_eq!(
            (nothing.filter, nothing.limit, nothing.after),
            (RunFilter::default(), 50, None)
        );
    }

    #[test]
    fn ambiguous_parameters_are_refused() {
        for bad in [
            "limit=0",
            "limit=201",
            "limit=+5",
            "limit=",
            "limit=99999999999",
            "status=Failure",
            "dx=accepted",
            "status=",
            "after=x",
            "after=",
            "pipline=a",
            "pr=x",
            "pr=",
            "from=yesterday",
            "to=2025-02-30",
            "match=glob",
            "branch=a&branch=b",
            "text=%00",
            "x",
        ] {
            assert!(RunsQuery::parse(bad, DateTime::UNIX_EPOCH).is_err(), "{bad}");
        }
        let long = format!("text={}", "x".repeat(4097));
        assert!(RunsQuery::parse(&long, DateTime::UNIX_EPOCH).is_err());
    }
}
