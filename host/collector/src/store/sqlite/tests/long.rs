//! Runs of many notifications, of which only what stands for them is folded again.

use super::support::{
    append, appending, detail, ended, fold, fold_all, open, page, query, running, step, take_back, wait,
};
use crate::store::sqlite::{Limits, SqliteStore};
use crate::store::{Fold, FoldError, RunFilter, Store, StoreError};
use pipefold_sandbox::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MANY: u32 = 300;

fn fill(store: &SqliteStore) {
    let answers: Vec<_> = (0..MANY)
        .map(|n| store.append(appending(step("web", "r", &format!("s{n}")), 0)))
        .collect();
    for answer in answers {
        wait(answer).unwrap();
    }
}

fn listed(store: &SqliteStore) -> Status {
    page(store, query(RunFilter::default(), 1)).runs[0].record.status
}

#[test]
fn one_more_is_folded_without_the_others_and_listed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (most, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting: Fold = {
        let (most, calls, fold) = (Arc::clone(&most), Arc::clone(&calls), fold());
        Arc::new(move |all| {
            most.fetch_max(all.len(), Ordering::Relaxed);
            calls.fetch_add(1, Ordering::Relaxed);
            fold(all)
        })
    };
    let store = SqliteStore::open(dir.path(), counting, Limits::default()).unwrap();
    fill(&store);
    calls.store(0, Ordering::Relaxed);
    append(&store, ended("web", "r", 0, "failure"), 1);
    assert_eq!(listed(&store), Status::Failure);
    assert_eq!(detail(&store, "r").unwrap().summary.notifications, MANY + 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1, "it is judged once");
    assert_eq!(most.load(Ordering::Relaxed), 2, "its parts and the new one");
}

#[test]
fn what_an_older_version_left_unfolded_is_folded_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store);
    append(&store, ended("web", "r", 0, "success"), 1);
    append(&store, running("web", "other", 0), 2);
    drop(store);
    let unfolded = r#"UPDATE runs SET folded = 3, status = 1, completion = NULL, finished = NULL,
        record = json_remove(json_set(record, '$.status', 'running'), '$.finished_at') WHERE reference_id = 'r';
        UPDATE pipelines SET running = running + 1, success = success - 1;"#;
    take_back(dir.path(), unfolded);
    // Where it cannot be folded, it stays as it was and is in no one's way.
    let broken: Fold = Arc::new(|all| match all {
        [one] => fold()(std::slice::from_ref(one)),
        _ => Err(FoldError::Failed("no time".into())),
    });
    let store = SqliteStore::open(dir.path(), broken, Limits::default()).unwrap();
    assert_eq!(detail(&store, "r").unwrap().summary.record.status, Status::Running);
    let refused = wait(store.append(appending(step("web", "r", "late"), 3)));
    assert!(matches!(refused, Err(StoreError::FoldFailed(_))), "{refused:?}");
    append(&store, running("web", "third", 0), 3);
    drop(store);
    let store = open(dir.path());
    let run = detail(&store, "r").unwrap();
    let history: Vec<_> = run.received.iter().map(|one| one.notification.clone()).collect();
    assert_eq!(run.summary.record, fold_all(&history).unwrap());
    let completed = RunFilter {
        status: Some(Status::Success),
        ..RunFilter::default()
    };
    let found = page(&store, query(completed, 9)).runs;
    assert_eq!((found.len(), found[0].completion.is_some()), (1, true));
    let counts = wait(store.pipeline("web".into())).unwrap().unwrap().counts;
    assert_eq!((counts.running, counts.success), (2, 1));
}
