//! Many threads, many files.

use super::super::Rejection;
use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

#[test]
fn it_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Spool>();
}

#[test]
fn threads_that_record_mark_and_prune_at_once_lose_nothing() {
    let (_dir, spool) = spool();
    let done = AtomicBool::new(false);
    let key = RunKey::of("a");
    let far = SystemTime::now() + Duration::from_secs(10 * 24 * 60 * 60);
    let (recorded, delivered) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let spool = Spool::open(spool.path()).unwrap();
                scope.spawn(move || {
                    (0..20)
                        .map(|n| spool.record(&entry("a", Hook::Finish, writer * 100 + n)).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // Delivers whatever it sees, and removes what was delivered as if a day had passed.
        let deliverer = scope.spawn(|| {
            let mut delivered = BTreeSet::new();
            let mut rounds = 0;
            loop {
                let last = done.load(Ordering::SeqCst);
                let run = spool.load(key).unwrap();
                assert_eq!(run.aside, []);
                delivered.extend(ids(&run));
                spool.mark_sent(key, ids(&run)).unwrap();
                rounds += spool.prune_at(far).unwrap().removed;
                if last {
                    return (delivered, rounds);
                }
            }
        });
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        // Before looking at how they ended, or the other thread would go on for ever.
        done.store(true, Ordering::SeqCst);
        let recorded: Vec<EntryId> = ended
            .into_iter()
            .flat_map(Result::unwrap)
            .map(|recorded| recorded.id)
            .collect();
        (recorded, deliverer.join().unwrap())
    });
    assert_eq!(recorded.len(), 320);
    assert_eq!(delivered.0, recorded.into_iter().collect());
    assert!(
        delivered.1 > 0,
        "the run was removed while it was written to, or at least at the end"
    );
    assert_eq!(spool.runs().unwrap(), []);
}

#[test]
fn records_that_are_rejected_while_others_come_are_in_one_place() {
    let (_dir, spool) = spool();
    let reason = Rejection {
        at: String::new(),
        url: String::new(),
        code: "invalid_json".into(),
        message: String::new(),
        request: serde_json::Value::Null,
        reference_id: String::new(),
    };
    let recorded = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| record(&spool, "a", 10))).collect();
        for _ in 0..10 {
            spool.reject(RunKey::of("a"), ids(&load(&spool, "a")), &reason).unwrap();
        }
        sorted(writers.into_iter().flat_map(|w| w.join().unwrap()).collect())
    });
    let mut found: Vec<EntryId> = spool.rejected().unwrap().into_iter().flat_map(|r| r.ids).collect();
    found.extend(ids(&load(&spool, "a")));
    assert_eq!(sorted(found), recorded);
}

#[test]
fn a_hundred_thousand_waiting_files_are_listed() {
    // In memory where there is such a disk: making the files takes a busy disk minutes, and says nothing about the spool.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
    let spool = Spool::open(&dir.path().join("spool")).unwrap();
    let bytes = entry("0", Hook::Step, 0).encode().unwrap();
    // Written plainly: recording each durably would test the disk's patience.
    for run in 0..1000 {
        let dir = spool
            .path()
            .join(super::super::layout::run(RunKey::of(&run.to_string())));
        std::fs::create_dir(&dir).unwrap();
        for _ in 0..100 {
            std::fs::write(
                dir.join(super::super::layout::record(EntryId::random().unwrap())),
                &bytes,
            )
            .unwrap();
        }
    }
    let runs = spool.runs().unwrap();
    assert_eq!(runs.len(), 1000);
    assert!(runs.iter().all(|key| spool.run_is_waiting(*key).unwrap()));
    let size = spool.measure().unwrap();
    assert_eq!((size.runs, size.files), (1000, 100_000));
    let pruned = spool.prune().unwrap();
    assert_eq!((pruned.removed, pruned.size, pruned.full), (0, size, true));
    assert_eq!(load(&spool, "0").entries.len(), 100);
}
