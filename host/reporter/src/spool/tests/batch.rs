//! Many records at once.

use super::super::simulated::{Crash, Simulated};
use super::super::{Limits, Rejection, SpoolError, layout};
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Two runs, of which the first has steps and an end.
fn batch() -> Vec<Entry> {
    let mut batch: Vec<Entry> = (0..3).map(|n| entry("a", Hook::Step, n)).collect();
    batch.push(entry("b", Hook::Start, 7));
    batch.push(entry("a", Hook::Finish, 9));
    batch
}

fn all(spool: &Spool) -> Vec<Entry> {
    let runs = spool.runs().unwrap().into_iter().map(|key| spool.load(key).unwrap());
    runs.inspect(|run| assert!(run.aside.is_empty()))
        .flat_map(|run| run.entries)
        .map(|(_, entry)| entry)
        .collect()
}

#[test]
fn a_batch_syncs_the_directory_once_a_run() {
    let disk = Simulated::new();
    let spool = Spool::on(Arc::new(disk.clone())).unwrap();
    disk.take_log();
    spool.record_all(&batch()).unwrap();
    let log = disk.take_log();
    let of_run = |run: &str| {
        let dir = layout::run(RunKey::of(run)).display().to_string();
        let at = |what: &str| log.iter().position(|line| line.starts_with(&format!("{what} {dir}/")));
        let count = |what: &str| log.iter().filter(|line| line.starts_with(what)).count();
        let last_write = log.iter().rposition(|line| line.starts_with(&format!("write {dir}/")));
        assert!(last_write < at("sync"), "{log:#?}");
        let first_name = at("rename");
        let last_sync = log.iter().rposition(|line| line.starts_with(&format!("sync {dir}/")));
        assert!(
            last_sync < first_name,
            "nothing has its name before everything is safe: {log:#?}"
        );
        (count(&format!("rename {dir}/")), count(&format!("sync_dir {dir}")))
    };
    assert_eq!(of_run("a"), (4, 1));
    assert_eq!(of_run("b"), (1, 1));
    let wanted = batch();
    let found = all(&spool);
    assert_eq!(found.len(), wanted.len());
    assert!(wanted.iter().all(|entry| found.contains(entry)));
}

#[test]
fn the_end_of_a_run_gets_its_name_last() {
    let disk = Simulated::new();
    let spool = Spool::on(Arc::new(disk.clone())).unwrap();
    disk.take_log();
    spool.record_all(&batch()).unwrap();
    let dir = layout::run(RunKey::of("a")).display().to_string();
    let log = disk.take_log();
    let last = log
        .iter()
        .rfind(|line| line.starts_with(&format!("rename {dir}/")))
        .unwrap();
    let finish = load(&spool, "a")
        .entries
        .into_iter()
        .find(|(_, entry)| entry.hook == Hook::Finish);
    let name = layout::record(finish.unwrap().0);
    assert!(
        last.ends_with(&name),
        "a deliverer that looks meanwhile would send the run twice: {log:#?}"
    );
}

#[test]
fn a_crash_while_recording_a_batch_loses_no_accepted_record() {
    for how in [Crash::DropAll, Crash::KeepAll]
        .into_iter()
        .chain((0..12).map(Crash::Some))
    {
        for n in 1.. {
            let disk = Simulated::new();
            let spool = Spool::on(Arc::new(disk.clone())).unwrap();
            disk.crash_at(n);
            let accepted = spool.record_all(&batch()).is_ok();
            let crashed = disk.has_crashed();
            disk.crash(how);
            let found = all(&Spool::on(Arc::new(disk.clone())).unwrap());
            assert!(found.iter().all(|entry| batch().contains(entry)));
            if accepted {
                assert_eq!(found.len(), batch().len(), "crash {how:?} at {n}");
            }
            if !crashed {
                assert!(accepted && n > 10);
                break;
            }
        }
    }
}

#[test]
fn a_large_batch_opens_few_files_at_a_time() {
    let disk = Simulated::new();
    let spool = Spool::on(Arc::new(disk.clone())).unwrap();
    record(&spool, "a", 1);
    disk.take_log();
    let batch: Vec<Entry> = (0..1000).map(|n| entry("a", Hook::Step, n)).collect();
    spool.record_all(&batch).unwrap();
    assert_eq!(load(&spool, "a").entries.len(), 1001);
    let (mut open, mut most) = (0_usize, 0);
    for line in disk.take_log() {
        match line.split(' ').next() {
            Some("write") => open += 1,
            Some("rename") => open -= 1,
            _ => {}
        }
        most = most.max(open);
    }
    assert!((2..=128).contains(&most), "{most} at a time");
}

#[test]
fn limits_hold() {
    let (_dir, spool) = spool();
    let spool = spool.with_limits(Limits {
        records_per_run: 4,
        ..Limits::default()
    });
    spool.record_all(&batch()).unwrap();
    assert!(matches!(spool.record_all(&batch()), Err(SpoolError::TooMany { .. })));
    let runs: BTreeSet<_> = spool.runs().unwrap().into_iter().collect();
    assert_eq!(
        (runs.len(), load(&spool, "a").entries.len()),
        (2, 4),
        "nothing of a run's part of it"
    );
    let full = spool.with_limits(Limits {
        size: 1,
        ..Limits::default()
    });
    assert!(full.prune().unwrap().full);
    assert!(matches!(full.record_all(&batch()), Err(SpoolError::Full { .. })));
    full.record_all(&[]).unwrap();
}

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
        // Delivers all waiting records, and removes delivered runs as if a day had passed.
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
fn records_can_be_rejected_while_others_are_recorded() {
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
