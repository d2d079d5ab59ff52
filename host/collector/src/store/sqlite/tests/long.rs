//! Runs too long to be folded within an append.

use super::support::{appending, detail, ended, fold_all, fresh, open, page, query, running, step, wait};
use crate::store::sqlite::append::FOLDED_AT_ONCE;
use crate::store::sqlite::{Limits, SqliteStore};
use crate::store::{RunFilter, Store};
use pipefold_sandbox::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Long enough for any machine.
const FAR: Duration = Duration::from_secs(60);

fn fill(store: &SqliteStore) {
    let answers: Vec<_> = (0..FOLDED_AT_ONCE)
        .map(|n| store.append(appending(step("web", "r", &format!("s{n}")), 0)))
        .collect();
    for answer in answers {
        wait(answer).unwrap();
    }
}

fn listed(store: &SqliteStore) -> Status {
    page(store, query(RunFilter::default(), 1)).runs[0].record.status
}

fn until_listed(store: &SqliteStore, status: Status) {
    let begun = Instant::now();
    while listed(store) != status {
        assert!(begun.elapsed() < FAR, "it is still listed as {}", listed(store));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_list_follows_and_the_run_itself_is_never_behind() {
    let (_dir, store) = fresh();
    fill(&store);
    wait(store.append(appending(ended("web", "r", 0, "failure"), 1))).unwrap();
    assert_eq!(detail(&store, "r").unwrap().summary.record.status, Status::Failure);
    until_listed(&store, Status::Failure);
    let run = page(
        &store,
        query(
            RunFilter {
                status: Some(Status::Failure),
                ..RunFilter::default()
            },
            1,
        ),
    )
    .runs
    .remove(0);
    assert!(run.completion.is_some());
    assert_eq!(run.notifications, FOLDED_AT_ONCE + 1);
}

#[test]
fn what_was_left_unfolded_is_folded_after_the_next_start_and_failures_block_no_one() {
    let dir = tempfile::tempdir().unwrap();
    let (works, calls) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let store = {
        let (works, calls) = (Arc::clone(&works), Arc::clone(&calls));
        let fold: crate::store::Fold = Arc::new(move |history| {
            calls.fetch_add(1, Ordering::Relaxed);
            if works.load(Ordering::Relaxed) {
                fold_all(history)
            } else {
                Err(crate::store::FoldError::Failed("no time".into()))
            }
        });
        SqliteStore::open(dir.path(), fold, Limits::default()).unwrap()
    };
    fill(&store);
    works.store(false, Ordering::Relaxed);
    let before = calls.load(Ordering::Relaxed);
    wait(store.append(appending(ended("web", "r", 0, "success"), 1))).unwrap();
    let begun = Instant::now();
    while calls.load(Ordering::Relaxed) == before {
        assert!(begun.elapsed() < FAR);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(listed(&store), Status::Running, "as it was");
    drop(store);
    let store = open(dir.path());
    until_listed(&store, Status::Success);
    wait(store.append(appending(running("web", "other", 0), 2))).unwrap();
}
