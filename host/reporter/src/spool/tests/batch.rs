//! Many records at once.

use super::super::simulated::{Crash, Simulated};
use super::super::{Limits, SpoolError, layout};
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;

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
fn a_batch_is_there_whole_and_costs_one_sync_of_the_directory_a_run() {
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
fn a_crash_at_any_moment_leaves_whole_records_and_loses_none_that_was_accepted() {
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
