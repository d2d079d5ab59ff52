//! A site over a store of its own.

use crate::access::{Access, Rights};
use crate::page::{Clock, PageState, router};
use crate::store::sqlite::{RunLimits, SqliteStore};
use crate::store::{Append, NewJob, RunSummary, Store};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use pipefold_sandbox::{Job, Notification, Report, Run, Status};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast::Sender;
use tower::ServiceExt;

/// Returns when all of it happens.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).unwrap()
}

/// Returns the time this many seconds before [`now`].
pub fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

pub struct Site {
    pub store: Arc<SqliteStore>,
    pub changes: Sender<Arc<str>>,
    pub state: PageState,
    pub access: Option<Access>,
    _dir: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Site {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rules = Arc::new(|history: &[Notification]| Ok(fold(history)));
        let store = Arc::new(SqliteStore::open(&dir.path().join("data"), rules, RunLimits::default()).unwrap());
        let (changes, _) = tokio::sync::broadcast::channel(16);
        let body = |run: &_| serde_json::to_vec(run).unwrap_or_default();
        let as_store: Arc<dyn Store> = Arc::clone(&store) as _;
        let state =
            PageState::new(as_store, &changes, body, true, Duration::from_secs(6 * 3_600)).with_clock(Clock::new(now));
        Self {
            store,
            changes,
            state,
            access: Some(Access::everything()),
            _dir: dir,
        }
    }

    /// Seen by a token that may read these pipelines.
    pub fn seen_by(mut self, rights: Rights, pipelines: &[&str]) -> Self {
        self.access = Some(Access::new(
            rights,
            pipelines.iter().map(|glob| glob.parse().unwrap()).collect(),
        ));
        self
    }

    pub fn router(&self) -> Router {
        let router = router(self.state.clone());
        match &self.access {
            Some(access) => router.layer(axum::Extension(access.clone())),
            None => router,
        }
    }

    pub async fn add(&self, notification: Notification, arrived: DateTime<Utc>) -> RunSummary {
        let append = Append {
            reference_id: notification.reference_id.clone().unwrap_or_default(),
            source: None,
            notifications: vec![notification.into()],
            jobs: Vec::new(),
            token: "ci".into(),
            access: Access::everything(),
            arrived,
        };
        self.store.append(append).await.unwrap().run
    }

    pub async fn add_job(&self, reference_id: &str, job: Job, held: bool) {
        let append = Append {
            reference_id: reference_id.into(),
            source: None,
            notifications: Vec::new(),
            jobs: vec![NewJob {
                job,
                by_policies: held,
                held,
            }],
            token: "ci".into(),
            access: Access::everything(),
            arrived: ago(10),
        };
        self.store.append(append).await.unwrap();
    }

    pub async fn get(&self, address: &str) -> Answer {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let response = self.router().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
        Answer {
            status,
            headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A page that is there.
    pub async fn page(&self, address: &str) -> String {
        let answer = self.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text);
        answer.text
    }
}

/// A run of a pipeline that began so many seconds ago.
pub fn began(pipeline: &str, reference_id: &str, seconds_ago: i64) -> Notification {
    Notification {
        pipeline_name: Some(pipeline.into()),
        pipeline_source: Some("Jenkins".into()),
        reference_id: Some(reference_id.into()),
        started_at: Some(ago(seconds_ago).format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        status: Some("running".into()),
        ..Notification::default()
    }
}

/// The run's end, after this many seconds.
pub fn ended(began: &Notification, status: &str, after: i64) -> Notification {
    let start = DateTime::parse_from_rfc3339(began.started_at.as_deref().unwrap()).unwrap();
    Notification {
        status: Some(status.into()),
        finished_at: Some((start + TimeDelta::seconds(after)).to_rfc3339()),
        ..began.clone()
    }
}

/// The values of an attribute, as they are written.
pub fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    page.split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Folds what the rules would take, and what they would not.
fn fold(history: &[Notification]) -> Report {
    Report {
        run: run(history),
        jobs: Vec::new(),
    }
}

fn run(history: &[Notification]) -> Run {
    let greatest = |of: fn(&Notification) -> &Option<String>| history.iter().filter_map(|n| of(n).clone()).max();
    let of_run: Vec<Status> = history.iter().filter(|n| n.step.is_none()).map(status).collect();
    let finals = of_run.iter().filter(|status| **status > Status::Running).max();
    let any = history.iter().filter(|n| !n.allowed_to_fail).map(status).max();
    Run {
        pipeline_name: greatest(|n| &n.pipeline_name).unwrap_or_default(),
        pipeline_source: greatest(|n| &n.pipeline_source).unwrap_or_default(),
        reference_id: greatest(|n| &n.reference_id).unwrap_or_default(),
        started_at: history
            .iter()
            .filter_map(|n| n.started_at.clone())
            .min()
            .unwrap_or_default(),
        finished_at: history
            .iter()
            .filter(|n| n.step.is_none())
            .filter_map(|n| n.finished_at.clone())
            .max(),
        // Steps of a run that has not ended do not end it.
        status: finals
            .copied()
            .or(any.map(|status| status.min(Status::Running)))
            .unwrap_or_default(),
        repository: greatest(|n| &n.repository),
        commit_sha: greatest(|n| &n.commit_sha),
        pr_number: history.iter().filter_map(|n| n.pr_number).max(),
        source_url: greatest(|n| &n.source_url),
        head_branch: greatest(|n| &n.head_branch),
        email: greatest(|n| &n.email),
        github_username: greatest(|n| &n.github_username),
        gitlab_username: greatest(|n| &n.gitlab_username),
        attributes: history.last().map_or_else(Vec::new, |last| last.attributes.clone()),
    }
}

fn status(notification: &Notification) -> Status {
    match notification.status.as_deref() {
        Some("running") => Status::Running,
        Some("success") => Status::Success,
        Some("cancelled") => Status::Cancelled,
        Some("failure") => Status::Failure,
        _ => Status::Unknown,
    }
}
