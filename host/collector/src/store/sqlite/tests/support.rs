//! A store to try, a fold, and notifications.

use crate::access::{Access, Rights};
use crate::store::sqlite::{DATABASE_FILE, RunLimits, SqliteStore};
use crate::store::{
    Answer, Append, Appended, Fold, FoldError, NewJob, Page, RunDetail, RunFilter, RunKey, RunQuery, Store, StoreError,
};
use chrono::{DateTime, Utc};
use pipefold_sandbox::{Fault, Job, Notification, Report, Run, Status, Violation};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Waits for an answer where there is no runtime to do so.
pub fn wait<T>(mut answer: Answer<T>) -> Result<T, StoreError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A fold like DX's as far as a store is concerned: it cares about neither order nor repetition. The status `refused` is refused, a step
/// `unfoldable` cannot be folded, a step `panic` panics.
pub fn fold() -> Fold {
    Arc::new(|all| {
        Ok(Report {
            run: fold_all(all)?,
            jobs: jobs_of(all),
        })
    })
}

/// Of each step the notification with the latest start, and among these the one with the greatest status.
fn jobs_of(all: &[Notification]) -> Vec<Job> {
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    for one in all {
        let Some(name) = one.step.clone() else { continue };
        let job = Job {
            reference_id: one.step_id.clone().unwrap_or_else(|| name.clone()),
            name,
            status: status(one.status.as_deref().unwrap_or_default()),
            started_at: one.started_at.clone(),
            finished_at: one.finished_at.clone(),
        };
        let rank = |job: &Job| (job.started_at.clone(), job.status);
        match jobs.get_mut(&job.reference_id) {
            Some(known) if rank(known) > rank(&job) => {}
            _ => {
                jobs.insert(job.reference_id.clone(), job);
            }
        }
    }
    jobs.into_values().collect()
}

fn status(name: &str) -> Status {
    match name {
        "running" => Status::Running,
        "success" => Status::Success,
        "cancelled" => Status::Cancelled,
        "failure" => Status::Failure,
        _ => Status::Unknown,
    }
}

pub fn fold_all(history: &[Notification]) -> Result<Run, FoldError> {
    let steps = || history.iter().filter_map(|notification| notification.step.as_deref());
    if steps().any(|step| step == "unfoldable") {
        return Err(FoldError::Failed("no time".into()));
    }
    assert!(!steps().any(|step| step == "panic"), "as asked for");
    if history
        .iter()
        .any(|notification| notification.status.as_deref() == Some("refused"))
    {
        return Err(FoldError::Refused(vec![Violation {
            fault: Fault::InvalidStatus,
            field: "status".into(),
            message: "is refused".into(),
        }]));
    }
    let greatest = |field: fn(&Notification) -> &Option<String>| history.iter().filter_map(|n| field(n).clone()).max();
    let least = |field: fn(&Notification) -> &Option<String>| history.iter().filter_map(|n| field(n).clone()).min();
    Ok(Run {
        pipeline_name: greatest(|n| &n.pipeline_name).unwrap_or_default(),
        pipeline_source: greatest(|n| &n.pipeline_source).unwrap_or_default(),
        reference_id: greatest(|n| &n.reference_id).unwrap_or_default(),
        started_at: least(|n| &n.started_at).unwrap_or_default(),
        finished_at: greatest(|n| &n.finished_at),
        status: history
            .iter()
            .filter_map(|n| n.status.as_deref())
            .map(status)
            .max()
            .unwrap_or_default(),
        repository: greatest(|n| &n.repository),
        commit_sha: greatest(|n| &n.commit_sha),
        pr_number: history.iter().filter_map(|n| n.pr_number).max(),
        source_url: greatest(|n| &n.source_url),
        head_branch: greatest(|n| &n.head_branch),
        email: greatest(|n| &n.email),
        github_username: greatest(|n| &n.github_username),
        gitlab_username: greatest(|n| &n.gitlab_username),
        attributes: Vec::new(),
    })
}

/// `seconds` after 2025 began.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_735_689_600 + seconds, 0).unwrap()
}

pub fn text_at(seconds: i64) -> String {
    at(seconds).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// The run `reference` of `pipeline` began at `started`.
pub fn running(pipeline: &str, reference: &str, started: i64) -> Notification {
    Notification {
        pipeline_name: Some(pipeline.into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some(reference.into()),
        started_at: Some(text_at(started)),
        status: Some("running".into()),
        ..Notification::default()
    }
}

/// Returns its end a minute later, with this status.
pub fn ended(pipeline: &str, reference: &str, started: i64, status: &str) -> Notification {
    Notification {
        finished_at: Some(text_at(started + 60)),
        status: Some(status.into()),
        ..running(pipeline, reference, started)
    }
}

pub fn step(pipeline: &str, reference: &str, name: &str) -> Notification {
    Notification {
        step: Some(name.into()),
        ..running(pipeline, reference, 0)
    }
}

pub fn open(dir: &Path) -> SqliteStore {
    open_with(dir, fold)
}

/// Opens a store that folds so.
pub fn open_with(dir: &Path, fold: impl Fn() -> Fold) -> SqliteStore {
    let begin = Instant::now();
    loop {
        match SqliteStore::open(dir, fold(), RunLimits::default()) {
            // A child process of another test has our lock too between its fork and its exec.
            Err(StoreError::InUse(_)) if begin.elapsed() < Duration::from_secs(5) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Makes a closed database one of the version before jobs, and changes it further.
pub fn take_back(dir: &Path, more: &str) {
    let connection = rusqlite::Connection::open(dir.join(DATABASE_FILE)).unwrap();
    let before = "DROP INDEX runs_by_pipeline; CREATE INDEX runs_by_pipeline ON runs (pipeline, place); \
        DROP INDEX runs_by_source; DROP INDEX runs_by_repository; DROP INDEX runs_by_commit; DROP INDEX results_by_commit; DROP INDEX runs_by_odd_commit; DROP INDEX runs_by_pr; \
        ALTER TABLE runs DROP COLUMN source; ALTER TABLE runs DROP COLUMN repository; ALTER TABLE runs DROP COLUMN commit_sha; \
        ALTER TABLE runs DROP COLUMN pr_number; DROP INDEX jobs_waiting; DROP INDEX jobs_to_fold; ALTER TABLE runs DROP COLUMN jobs; \
        ALTER TABLE runs DROP COLUMN job_bytes; ALTER TABLE runs ADD COLUMN parts TEXT; PRAGMA user_version = 3;";
    connection.execute_batch(before).unwrap();
    for column in [
        "body",
        "assumed",
        "by_policies",
        "held",
        "waiting_since",
        "tried",
        "sent",
    ] {
        connection
            .execute_batch(&format!("ALTER TABLE jobs DROP COLUMN {column}"))
            .unwrap();
    }
    connection.execute_batch(more).unwrap();
}

/// A store in a directory that goes with it.
pub fn fresh() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (dir, store)
}

pub fn appending(notification: Notification, arrived: i64) -> Append {
    Append {
        reference_id: notification.reference_id.clone().unwrap_or_default(),
        source: None,
        jobs: Vec::new(),
        notifications: vec![notification.into()],
        token: "ci".into(),
        access: Access::everything(),
        arrived: at(arrived),
    }
}

/// A report of the job `name` of a run.
pub fn job(name: &str, status: Status, started: Option<i64>, finished: Option<i64>) -> Job {
    Job {
        reference_id: name.into(),
        name: name.into(),
        status,
        started_at: started.map(text_at),
        finished_at: finished.map(text_at),
    }
}

pub fn appending_job(reference: &str, job: Job, arrived: i64) -> Append {
    Append {
        reference_id: reference.into(),
        source: Some("Tekton".into()),
        notifications: Vec::new(),
        jobs: vec![NewJob {
            job,
            by_policies: false,
            held: false,
        }],
        token: "ci".into(),
        access: Access::everything(),
        arrived: at(arrived),
    }
}

pub fn append_job(store: &SqliteStore, reference: &str, job: Job, arrived: i64) -> Appended {
    wait(store.append(appending_job(reference, job, arrived))).unwrap()
}

pub fn try_append(store: &SqliteStore, notification: Notification, arrived: i64) -> Result<Appended, StoreError> {
    wait(store.append(appending(notification, arrived)))
}

pub fn append(store: &SqliteStore, notification: Notification, arrived: i64) -> Appended {
    try_append(store, notification, arrived).unwrap()
}

pub fn detail(store: &SqliteStore, reference: &str) -> Option<RunDetail> {
    wait(store.run(RunKey::Reference(reference.into()))).unwrap()
}

pub fn access(rights: Rights, globs: &[&str]) -> Access {
    Access::new(rights, globs.iter().map(|glob| glob.parse().unwrap()).collect())
}

pub(super) fn query(filter: RunFilter, limit: u16) -> RunQuery {
    RunQuery {
        filter,
        access: Access::everything(),
        after: None,
        limit,
    }
}

pub fn page(store: &SqliteStore, query: RunQuery) -> Page {
    wait(store.runs(query)).unwrap()
}

/// The references of all pages, in their order.
pub fn references(store: &SqliteStore, mut query: RunQuery) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = page(store, query.clone());
        assert!(page.runs.len() <= usize::from(query.limit));
        all.extend(page.runs.into_iter().map(|run| run.record.reference_id));
        // Through its text, as a URL carries it.
        let Some(next) = page.next else { return all };
        assert!(query.after.is_none_or(|before| next < before), "pages go on");
        query.after = Some(next.to_string().parse().unwrap());
    }
}
