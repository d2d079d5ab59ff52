//! `GET /api/pipelines` and `GET /api/pipelines/{name}`: the state of pipelines and their statistics. Lengths of time are in milliseconds.

use super::ApiState;
use super::runs::{limit, reader};
use crate::page::{Sort, TimeSpan, person};
use crate::request::{json, refused, store_failed};
use crate::store::{
    Branch, Bucket, Failing, Figures, History, HistoryQuery, OverviewQuery, PipelineNow, RunSummary, Span,
    StatusCounts, StepFigures,
};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use pipefold::dx::ErrorCode;
use pipefold_sandbox::Status;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Answers with the state of the pipelines that the token may see.
pub async fn list(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match Asked::parse(request.uri().query(), &["search", "sort", "days", "limit", "page"]) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let query = OverviewQuery {
        access: (*caller.access).clone(),
        span: asked.days.at(Utc::now()),
    };
    let span = query.span;
    let mut all = match state.store.overview(query).await {
        Ok(all) => all,
        Err(error) => return store_failed(&state.journal, error),
    };
    if let Some(search) = asked.search.map(|search| search.to_lowercase()) {
        all.retain(|pipeline| pipeline.name.to_lowercase().contains(&search));
    }
    asked.sort.sort(&mut all);
    let (limit, total) = (usize::from(asked.limit), all.len());
    let first = limit.saturating_mul(asked.page - 1).min(total);
    let end = (first + limit).min(total);
    let body = Pipelines {
        ok: true,
        from: span.from,
        until: span.until,
        total,
        pipelines: all[first..end]
            .iter()
            .map(|pipeline| NowJson::from(&**pipeline))
            .collect(),
        next: (end < total).then_some(asked.page + 1),
    };
    json(StatusCode::OK, &body)
}

/// Answers with the statistics of a pipeline. One that the token may not see counts as unknown.
pub async fn one(
    State(state): State<Arc<ApiState>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let caller = match reader(&state, &request) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let asked = match Asked::parse(request.uri().query(), &["days", "branch", "all"]) {
        Ok(asked) => asked,
        Err(why) => return refused(ErrorCode::InvalidArguments, why),
    };
    let unknown = || refused(ErrorCode::NotFound, "there is no such pipeline");
    let Ok(Path(pipeline)) = path else { return unknown() };
    if !caller.access.may_see(&pipeline) {
        return unknown();
    }
    let span = asked.days.at(Utc::now());
    let query = HistoryQuery {
        pipeline,
        branch: asked.branch,
        span,
    };
    match state.store.history(query).await {
        Ok(Some(history)) => json(StatusCode::OK, &OnePipeline::of(&history, &span)),
        Ok(None) => unknown(),
        Err(error) => store_failed(&state.journal, error),
    }
}

/// A parsed query.
struct Asked {
    search: Option<String>,
    sort: Sort,
    days: TimeSpan,
    branch: Branch,
    limit: u16,
    page: usize,
}

/// The pipelines of a page by default.
const USUAL_PAGE: u16 = 50;

/// The longest value, in bytes: names are no longer.
const MAX_VALUE: usize = 4096;

impl Asked {
    /// Parses a query. An unknown or repeated parameter is an error: ignored, it would be a filter that does not filter.
    ///
    /// # Errors
    /// The fault, in a sentence.
    fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut asked = Self {
            search: None,
            sort: Sort::default(),
            days: TimeSpan::default(),
            branch: Branch::Main,
            limit: USUAL_PAGE,
            page: 1,
        };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                // The name is not shown: it may be anything.
                return Err(format!(
                    "the query has an unknown parameter; known ones are {}",
                    known.join(", ")
                ));
            }
            if seen.iter().any(|seen| *seen == name) {
                return Err(format!("{name} is given twice"));
            }
            if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(format!("{name} is too long, or has control characters"));
            }
            match &*name {
                "search" => asked.search = Some(value.into_owned()),
                "sort" => {
                    asked.sort = Sort::of(&value)
                        .ok_or("sort: use one of failing, failures, slowest, slower, runs, name".to_owned())?;
                }
                "days" => {
                    asked.days = TimeSpan::of_days(&value).ok_or("days: use one of 1, 7, 30, 90, 365".to_owned())?;
                }
                "branch" => asked.branch = Branch::Named(value.into_owned()),
                "all" if value == "1" => asked.branch = Branch::All,
                "all" => return Err("all: use 1, or leave it out".to_owned()),
                "limit" => asked.limit = limit(&value)?,
                _ => asked.page = page(&value)?,
            }
            seen.push(name.into_owned());
        }
        if ["branch", "all"]
            .iter()
            .all(|name| seen.iter().any(|seen| seen == name))
        {
            return Err("branch and all exclude each other".to_owned());
        }
        Ok(asked)
    }
}

fn page(text: &str) -> Result<usize, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    let fits = number.filter(|number| (1..=1_000_000).contains(number));
    fits.ok_or_else(|| "page: use a number from 1 to 1000000".to_owned())
}

#[derive(Serialize)]
struct Pipelines<'a> {
    ok: bool,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    total: usize,
    pipelines: Vec<NowJson<'a>>,
    /// The number of the next page.
    next: Option<usize>,
}

#[derive(Serialize)]
struct NowJson<'a> {
    name: &'a str,
    branch: Option<&'a str>,
    state: Option<&'static str>,
    latest: RunJson<'a>,
    failing: Option<FailingJson<'a>>,
    figures: FiguresJson,
    before: FiguresJson,
    flaky_commits: u64,
}

impl<'a> From<&'a PipelineNow> for NowJson<'a> {
    fn from(now: &'a PipelineNow) -> Self {
        Self {
            name: &now.name,
            branch: now.branch.as_deref(),
            state: now.state.map(Status::as_str),
            latest: RunJson::from(&now.latest),
            failing: now.failing.as_ref().map(FailingJson::from),
            figures: FiguresJson::from(&now.figures),
            before: FiguresJson::from(&now.before),
            flaky_commits: now.flaky,
        }
    }
}

/// A run in short; `/api/runs/{reference_id}` has all of it.
#[derive(Serialize)]
struct RunJson<'a> {
    reference_id: &'a str,
    counter: u64,
    status: &'static str,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    commit_sha: Option<&'a str>,
    person: Option<&'a str>,
    source_url: Option<&'a str>,
}

impl<'a> From<&'a RunSummary> for RunJson<'a> {
    fn from(run: &'a RunSummary) -> Self {
        Self {
            reference_id: &run.record.reference_id,
            counter: run.counter,
            status: run.record.status.as_str(),
            started_at: run.started,
            finished_at: run.finished,
            commit_sha: run.record.commit_sha.as_deref(),
            person: person(&run.record),
            source_url: run.record.source_url.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct FailingJson<'a> {
    first: RunJson<'a>,
    last: RunJson<'a>,
    runs: u64,
    steps: &'a [String],
    flaky: bool,
}

impl<'a> From<&'a Failing> for FailingJson<'a> {
    fn from(failing: &'a Failing) -> Self {
        Self {
            first: RunJson::from(&failing.first),
            last: RunJson::from(&failing.last),
            runs: failing.runs,
            steps: &failing.steps,
            flaky: failing.is_flaky,
        }
    }
}

#[derive(Serialize)]
struct CountsJson {
    unknown: u64,
    running: u64,
    success: u64,
    cancelled: u64,
    failure: u64,
}

impl From<&StatusCounts> for CountsJson {
    fn from(counts: &StatusCounts) -> Self {
        let StatusCounts {
            unknown,
            running,
            success,
            cancelled,
            failure,
        } = *counts;
        Self {
            unknown,
            running,
            success,
            cancelled,
            failure,
        }
    }
}

fn ms(length: Option<Duration>) -> Option<u64> {
    length.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

#[derive(Serialize)]
struct FiguresJson {
    counts: CountsJson,
    median: Option<u64>,
    p90: Option<u64>,
    time_to_green: Option<u64>,
}

impl From<&Figures> for FiguresJson {
    fn from(figures: &Figures) -> Self {
        Self {
            counts: CountsJson::from(&figures.counts),
            median: ms(figures.median),
            p90: ms(figures.p90),
            time_to_green: ms(figures.to_green),
        }
    }
}

#[derive(Serialize)]
struct OnePipeline<'a> {
    ok: bool,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    pipeline: NowJson<'a>,
    statistics: Statistics<'a>,
}

#[derive(Serialize)]
struct Statistics<'a> {
    branch: Option<&'a str>,
    branches: Vec<BranchJson<'a>>,
    complete: bool,
    figures: FiguresJson,
    before: FiguresJson,
    columns: Vec<ColumnJson>,
    step_runs: u64,
    steps: Vec<StepJson<'a>>,
    flaky: Vec<FlakyJson<'a>>,
}

#[derive(Serialize)]
struct BranchJson<'a> {
    name: &'a str,
    runs: u64,
}

#[derive(Serialize)]
struct ColumnJson {
    from: DateTime<Utc>,
    counts: CountsJson,
    median: Option<u64>,
    p90: Option<u64>,
}

impl From<&Bucket> for ColumnJson {
    fn from(bucket: &Bucket) -> Self {
        Self {
            from: bucket.from,
            counts: CountsJson::from(&bucket.counts),
            median: ms(bucket.median),
            p90: ms(bucket.p90),
        }
    }
}

#[derive(Serialize)]
struct StepJson<'a> {
    name: &'a str,
    figures: StepFiguresJson,
    before: StepFiguresJson,
}

#[derive(Serialize)]
struct StepFiguresJson {
    executions: u64,
    failures: u64,
    median: Option<u64>,
    p90: Option<u64>,
}

impl From<&StepFigures> for StepFiguresJson {
    fn from(figures: &StepFigures) -> Self {
        Self {
            executions: figures.runs,
            failures: figures.failures,
            median: ms(figures.median),
            p90: ms(figures.p90),
        }
    }
}

#[derive(Serialize)]
struct FlakyJson<'a> {
    commit_sha: &'a str,
    runs: Vec<RunJson<'a>>,
}

impl<'a> OnePipeline<'a> {
    fn of(history: &'a History, span: &Span) -> Self {
        let steps = history.steps.iter().map(|step| StepJson {
            name: &step.name,
            figures: StepFiguresJson::from(&step.figures),
            before: StepFiguresJson::from(&step.before),
        });
        let flaky = history.flaky.iter().map(|flaky| FlakyJson {
            commit_sha: &flaky.commit,
            runs: flaky.runs.iter().map(RunJson::from).collect(),
        });
        let branches = history
            .branches
            .iter()
            .map(|(name, runs)| BranchJson { name, runs: *runs });
        Self {
            ok: true,
            from: span.from,
            until: span.until,
            pipeline: NowJson::from(&*history.now),
            statistics: Statistics {
                branch: history.branch.as_deref(),
                branches: branches.collect(),
                complete: !history.is_cut,
                figures: FiguresJson::from(&history.figures),
                before: FiguresJson::from(&history.before),
                columns: history.buckets.iter().map(ColumnJson::from).collect(),
                step_runs: history.step_runs,
                steps: steps.collect(),
                flaky: flaky.collect(),
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let known = ["search", "sort", "days", "limit", "page", "branch", "all"];
        let asked = Asked::parse(Some("search=a%2Fb&sort=slower&days=7&limit=5&page=2&branch=x"), &known).unwrap();
        assert_eq!((asked.search.as_deref(), asked.sort), (Some("a/b"), Sort::Slower));
        assert_eq!((asked.days.days(), asked.limit, asked.page), (7, 5, 2));
        assert_eq!(asked.branch, Branch::Named("x".into()));
        for bad in [
            "sort=x",
            "sort=",
            "days=2",
            "limit=0",
            "limit=201",
            "page=0",
            "page=+1",
            "page=",
            "all=0",
            "other=1",
            "days=1&days=1",
            "branch=a&all=1",
            "search=%00",
        ] {
            assert!(Asked::parse(Some(bad), &known).is_err(), "{bad}");
        }
        assert!(Asked::parse(Some("sort=name"), &["days"]).is_err());
    }
}
