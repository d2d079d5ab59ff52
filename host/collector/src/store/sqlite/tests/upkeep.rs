//! Retention, stale runs, backups.

use super::support::{append, at, detail, ended, fresh, open, query, references, running, step, try_append, wait};
use crate::access::Access;
use crate::store::sqlite::{DATABASE_FILE, SqliteStore, backup};
use crate::store::{Forwarded, PipelineQuery, Retention, RunFilter, RunKey, StaleQuery, Store, StoreError};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn retain(store: &SqliteStore, before: i64, keep_waiting: bool) -> u64 {
    wait(store.retain(Retention {
        before: at(before),
        keep_waiting,
    }))
    .unwrap()
}

#[test]
fn what_is_old_goes_with_all_that_was_kept_of_it() {
    let (_dir, store) = fresh();
    for n in 0..250 {
        append(&store, ended("web", &format!("r{n}"), n, "success"), n);
    }
    append(&store, step("web", "r3", "unit"), 1000);
    let old = detail(&store, "r4").unwrap();
    assert_eq!(retain(&store, 150, false), 149, "r3 was heard of again");
    assert!(detail(&store, "r4").is_none());
    assert_eq!(wait(store.run(RunKey::Job(old.jobs[0].id))).unwrap(), None);
    assert_eq!(detail(&store, "r3").unwrap().received.len(), 2);
    assert_eq!(references(&store, query(RunFilter::default(), 200)).len(), 101);
    let pipeline = wait(store.pipelines(PipelineQuery {
        access: Access::everything(),
        after: None,
        limit: 1,
    }))
    .unwrap()
    .remove(0);
    assert_eq!((pipeline.counts.success, pipeline.last_counter), (101, 250));
    // Its name is free again, its numbers are not.
    let reborn = append(&store, running("web", "r4", 0), 1000).run;
    assert!(
        reborn.counter == 251
            && reborn.id > old.summary.id
            && detail(&store, "r4").unwrap().jobs[0].id > old.jobs[0].id
    );
    assert_eq!(retain(&store, 150, false), 0);
    assert_eq!(retain(&store, i64::from(u32::MAX), false), 102);
    assert_eq!(references(&store, query(RunFilter::default(), 200)), [""; 0]);
}

#[test]
fn what_dx_does_not_know_is_kept_on_request() {
    let (_dir, store) = fresh();
    let known = append(&store, running("web", "known", 0), 0).run;
    append(&store, running("web", "waits", 0), 0);
    wait(store.forwarded(Forwarded {
        id: known.id,
        covered: 1,
        answer: None,
        sent: None,
    }))
    .unwrap();
    assert_eq!(retain(&store, 10, true), 1);
    assert_eq!(references(&store, query(RunFilter::default(), 9)), ["waits"]);
}

#[test]
fn runs_that_never_finished_are_found_page_by_page() {
    let (_dir, store) = fresh();
    for n in 0..5 {
        append(&store, running("web", &format!("r{n}"), n), n);
    }
    append(&store, ended("web", "r1", 0, "failure"), 10);
    append(&store, step("web", "r2", "still at it"), 100);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = wait(store.stale(StaleQuery {
            before: at(50),
            after,
            limit: 1,
        }))
        .unwrap();
        let Some(run) = page.into_iter().next() else { break };
        after = Some(run.id);
        found.push(run.record.reference_id);
    }
    assert_eq!(found, ["r0", "r3", "r4"]);
}

#[test]
fn a_backup_taken_while_others_write_is_whole() {
    let (dir, store) = fresh();
    for n in 0..500 {
        drop(store.append(super::support::appending(running("web", &format!("r{n}"), n), n)));
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let (one, other) = (elsewhere.path().join("one"), elsewhere.path().join("other"));
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let n = written.fetch_add(1, Ordering::Relaxed);
                let appended = try_append(&store, ended("web", &format!("r{}", n % 400), 0, "success"), 1);
                assert!(appended.is_ok(), "appends go on");
            }
        });
        while written.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        let acknowledged = append(&store, running("web", "marker", 0), 0).run;
        let first = wait(store.backup(one.clone()));
        // As another process would.
        let second = backup(dir.path(), &other);
        stop.store(true, Ordering::Relaxed);
        assert_eq!((first, second), (Ok(()), Ok(())));
        for file in [&one, &other] {
            let restored = tempfile::tempdir().unwrap();
            std::fs::copy(file, restored.path().join(DATABASE_FILE)).unwrap();
            let copy = open(restored.path());
            assert_eq!(detail(&copy, "marker").unwrap().summary.id, acknowledged.id);
            for reference in references(&copy, query(RunFilter::default(), 200)) {
                let run = detail(&copy, &reference).unwrap();
                assert_eq!(run.received.len() as u32, run.summary.notifications);
            }
            assert!(append(&copy, running("web", "new", 0), 0).run.id > acknowledged.id);
        }
    });
    assert_eq!(wait(store.backup(one.clone())), Err(StoreError::BackupExists(one)));
    let nowhere = elsewhere.path().join("none/backup");
    assert!(matches!(wait(store.backup(nowhere)), Err(StoreError::Io { .. })));
    let names: Vec<_> = std::fs::read_dir(elsewhere.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn there_is_no_backup_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    assert!(backup(&dir.path().join("none"), &to).is_err());
    assert!(backup(dir.path(), &to).is_err());
    assert!(!to.exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
