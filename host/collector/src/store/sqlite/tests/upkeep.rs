//! Forwarding, retention and backups.

use super::support::{
    append, appending, at, detail, ended, fresh, open, query, references, running, step, try_append, wait,
};
use crate::access::Access;
use crate::store::sqlite::{DATABASE_FILE, SqliteStore, backup};
use crate::store::{
    Backlog, DxAnswer, Forwarded, PipelineQuery, Retention, RunFilter, RunKey, StaleQuery, Store, StoreError, Waiting,
    WaitingQuery,
};
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
    assert_eq!(retain(&store, 150, false), 149, "r3 has new activity");
    assert!(detail(&store, "r4").is_none());
    assert_eq!(wait(store.run(RunKey::Job(old.own_job))).unwrap(), None);
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
    assert!(reborn.counter == 251 && reborn.id > old.summary.id && detail(&store, "r4").unwrap().own_job > old.own_job);
    assert_eq!(retain(&store, 150, false), 0);
    assert_eq!(retain(&store, i64::from(u32::MAX), false), 102);
    assert_eq!(references(&store, query(RunFilter::default(), 200)), [""; 0]);
    let empty = PipelineQuery {
        access: Access::everything(),
        after: None,
        limit: 1,
    };
    assert_eq!(wait(store.pipelines(empty)).unwrap(), [], "it has no run");
}

#[test]
fn the_file_shrinks_when_its_runs_are_removed() {
    let (dir, store) = fresh();
    let mut large = ended("web", "", 0, "success");
    large.source_url = Some(format!("https://ci.example/{}", "x".repeat(2_000)));
    let ids: Vec<u64> = (0..1_500)
        .map(|n| {
            large.reference_id = Some(format!("r{n}"));
            append(&store, large.clone(), n).run.id
        })
        .collect();
    let other = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    let pages = || -> i64 { other.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap() };
    let full = pages();
    assert!(full > 1_500, "{full}");
    assert_eq!(wait(store.remove(ids[..100].to_vec())).unwrap(), 100);
    assert!(pages() >= full, "few free pages are kept for new runs");
    assert_eq!(wait(store.remove(ids[100..].to_vec())).unwrap(), 1_400);
    assert!(pages() < full / 2, "{} of {full}", pages());
    append(&store, large, 2_000);
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

fn waiting(store: &SqliteStore) -> Vec<Waiting> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = wait(store.waiting(WaitingQuery { after, limit: 2 })).unwrap();
        after = page.last().cloned();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn names(waiting: &[Waiting]) -> Vec<&str> {
    waiting.iter().map(|waiting| waiting.reference_id.as_str()).collect()
}

fn forwarded(store: &SqliteStore, id: u64, covered: u32, text: Option<&str>) {
    let answer = text.map(|text| DxAnswer {
        at: at(500),
        accepted: true,
        text: text.into(),
        as_cancelled: false,
    });
    wait(store.forwarded(Forwarded {
        id,
        covered,
        answer,
        sent: None,
    }))
    .unwrap();
}

#[test]
fn a_run_waits_until_dx_knows_all_of_it() {
    let (dir, store) = fresh();
    for (n, reference) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        append(&store, running("web", reference, 0), n as i64 / 2);
    }
    let all = waiting(&store);
    assert_eq!(
        names(&all),
        ["a", "b", "c", "d", "e"],
        "the longest first, also those of the same moment"
    );

    // Another one came while the first was on its way.
    append(&store, ended("web", "a", 0, "success"), 100);
    forwarded(&store, all[0].id, all[0].notifications, Some("first"));
    forwarded(&store, all[1].id, all[1].notifications, None);
    let left = waiting(&store);
    assert_eq!(
        names(&left),
        ["c", "d", "e", "a"],
        "what is left of it waits since it came"
    );
    assert_eq!((left[3].since, left[3].covered, left[3].notifications), (at(100), 1, 2));

    forwarded(&store, left[3].id, 2, Some("second"));
    // An answer that was overtaken, and one for a run that is gone.
    forwarded(&store, left[3].id, 1, None);
    forwarded(&store, 999_999, 1, Some("?"));
    assert_eq!(names(&waiting(&store)), ["c", "d", "e"]);
    drop(store);
    let store = open(dir.path());
    let known = detail(&store, "a").unwrap().forwarding;
    assert_eq!(
        (known.waiting_since, known.covered, known.answer.unwrap().text.as_str()),
        (None, 2, "second")
    );

    let again = append(&store, ended("web", "a", 0, "failure"), 200).run;
    assert_eq!(again.waiting_since, Some(at(200)));
    assert_eq!(names(&waiting(&store)), ["c", "d", "e", "a"]);
}

#[test]
fn a_run_is_sent_as_its_record_with_what_dx_does_not_have() {
    let (dir, store) = fresh();
    let run = append(&store, running("web", "a", 0), 0).run;
    append(&store, step("web", "a", "build"), 1);
    forwarded(&store, run.id, 1, None);
    let mut held = appending(ended("web", "a", 0, "success"), 2);
    held.notifications[0].held = true;
    wait(store.append(held)).unwrap();
    let outgoing = || wait(store.outgoing(run.id)).unwrap().unwrap();
    let (sent, known) = (outgoing(), detail(&store, "a").unwrap());
    assert_eq!((&sent.summary, &sent.forwarding), (&known.summary, &known.forwarding));
    assert_eq!(sent.unsent, known.received[1..]);
    assert!(sent.has_news() && sent.is_judged(false), "the step is new");
    assert!(
        !sent.is_judged(true),
        "policies have to judge what was kept without any"
    );
    forwarded(&store, run.id, 2, None);
    assert!(!outgoing().has_news(), "the rest is held");
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection
        .execute("UPDATE notifications SET by_policies = 1", [])
        .unwrap();
    assert!(outgoing().is_judged(true));
    connection.execute("UPDATE runs SET folded = 1", []).unwrap();
    assert!(
        !outgoing().is_judged(true) && !outgoing().is_judged(false),
        "its record is old"
    );
    assert_eq!(wait(store.outgoing(999_999)), Ok(None));
}

#[test]
fn more_than_there_is_cannot_be_covered_and_long_texts_are_cut() {
    let (_dir, store) = fresh();
    let run = append(&store, running("web", "a", 0), 0).run;
    forwarded(&store, run.id, 99, Some(&"é".repeat(4096)));
    let known = detail(&store, "a").unwrap().forwarding;
    assert_eq!((known.covered, known.answer.unwrap().text.len()), (1, 4096));
    append(&store, ended("web", "a", 0, "success"), 7);
    assert_eq!(names(&waiting(&store)), ["a"]);
}

#[test]
fn held_notifications_are_no_reason_to_send() {
    let (_dir, store) = fresh();
    let held = |arrived| {
        let mut append = appending(ended("web", "a", 0, "success"), arrived);
        append.notifications[0].held = true;
        append.notifications[0].by_policies = true;
        wait(store.append(append)).unwrap().run
    };
    assert_eq!(held(0).waiting_since, None);
    assert_eq!(wait(store.backlog()), Ok(Backlog::default()));
    let run = append(&store, running("web", "a", 0), 7).run;
    let backlog = Backlog {
        runs: 1,
        since: Some(at(7)),
    };
    assert_eq!((run.waiting_since, wait(store.backlog())), (Some(at(7)), Ok(backlog)));
    // A held one came while the run was sent.
    assert_eq!(held(8).waiting_since, Some(at(7)));
    forwarded(&store, run.id, 2, None);
    assert!(waiting(&store).is_empty());
    append(&store, running("web", "a", 0), 9);
    assert_eq!(waiting(&store)[0].since, at(9));
    let known = detail(&store, "a").unwrap();
    let flags: Vec<_> = known.received.iter().map(|one| (one.by_policies, one.held)).collect();
    assert_eq!(flags, [(true, true), (false, false), (true, true), (false, false)]);
}

#[test]
fn runs_that_dx_refused_for_good_are_a_list() {
    let (_dir, store) = fresh();
    let tell = |reference: &str, accepted, covered| {
        let id = append(&store, running("web", reference, 0), 0).run.id;
        let answer = DxAnswer {
            at: at(1),
            accepted,
            text: "no".into(),
            as_cancelled: false,
        };
        wait(store.forwarded(Forwarded {
            id,
            covered,
            answer: Some(answer),
            sent: Some("digest".into()),
        }))
        .unwrap();
    };
    tell("taken", true, 1);
    tell("tried again", false, 0);
    tell("refused", false, 1);
    tell("refused too", false, 1);
    append(&store, running("web", "new", 0), 0);
    let refused = |text: Option<&str>| {
        let filter = RunFilter {
            refused: true,
            text: text.map(Into::into),
            ..RunFilter::default()
        };
        references(&store, query(filter, 1))
    };
    assert_eq!(refused(None), ["refused too", "refused"]);
    assert_eq!(refused(Some("too")), ["refused too"]);
    assert_eq!(
        refused(Some("taken")),
        Vec::<String>::new(),
        "a whole reference is no exception"
    );
    assert_eq!(
        detail(&store, "taken").unwrap().forwarding.sent.as_deref(),
        Some("digest")
    );
    append(&store, ended("web", "refused", 0, "success"), 1);
    assert_eq!(refused(None), ["refused too"], "it is tried again");
}
