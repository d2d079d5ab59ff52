//! Kills, full disks, and long histories.

use super::support::{
    append, appending, detail, ended, fold, fold_all, open, page, query, references, running, step, take_back,
    try_append, wait,
};
use crate::store::sqlite::{RunLimits, SqliteStore};
use crate::store::{Appended, Fold, FoldError, RunFilter, Store, StoreError};
use pipefold_sandbox::{Notification, Status};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const NAME: &str = "store::sqlite::tests::faults::what_was_acknowledged_survives_kill_9";

/// The child: appends from several threads without end, and prints each acknowledgement when it has it.
fn load(dir: &str, round: u32) {
    let store = open(dir.as_ref());
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0_u32.. {
                    // Several in flight, to runs that all threads share and that outlive the round.
                    let sent: Vec<_> = (0..4_u32)
                        .map(|k| {
                            let name = format!("{round}-{thread}-{n}-{k}");
                            let run = format!("run-{}", (n * 7 + k) % 60);
                            (name.clone(), store.append(appending(event(&run, &name), 0)))
                        })
                        .collect();
                    for (name, answer) in sent {
                        let appended: Result<Appended, StoreError> = wait(answer);
                        let run = appended.unwrap().run;
                        // One write: lines of several threads do not mix, and none is torn by a buffer.
                        let line = format!("ack {} {name} {}\n", run.record.reference_id, run.id);
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

fn event(run: &str, name: &str) -> Notification {
    Notification {
        source_url: Some(name.into()),
        ..if name.ends_with('3') {
            step("web", run, &name[name.len() - 3..])
        } else {
            running("web", run, 0)
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    const ROUNDS: u32 = 20;
    if let (Ok(dir), Ok(round)) = (
        std::env::var("PIPEFOLD_TEST_INNER"),
        std::env::var("PIPEFOLD_TEST_ROUND"),
    ) {
        return load(&dir, round.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<String, Vec<String>> = HashMap::new();
    let mut ids: HashMap<String, String> = HashMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env("PIPEFOLD_TEST_INNER", dir.path())
            .env("PIPEFOLD_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first acknowledgement on, at another moment each round.
        let (mut at, moment) = (None, Duration::from_micros(u64::from(round) * 7_919 % 60_000));
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            // The test harness prints too, on the line of the first one.
            let Some((_, told)) = line.split_once("ack ") else {
                continue;
            };
            let mut words = told.split(' ');
            let (Some(run), Some(name), Some(id), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                panic!("{line}");
            };
            acknowledged.entry(run.into()).or_default().push(name.into());
            let known = ids.entry(run.into()).or_insert_with(|| id.into());
            assert_eq!(known, id, "ids never change");
            seen += 1;
            if Instant::now() >= *at.get_or_insert_with(|| Instant::now() + moment) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(seen > 0, "round {round} did nothing");

        let store = open(dir.path());
        for (run, names) in &acknowledged {
            let kept = detail(&store, run).expect("an acknowledged run");
            let urls: Vec<_> = kept
                .received
                .iter()
                .filter_map(|received| received.notification.source_url.as_deref())
                .collect();
            for name in names {
                assert!(
                    urls.contains(&name.as_str()),
                    "{name} of {run} was acknowledged and is lost in round {round}"
                );
            }
        }
        // And whatever is there is whole, whether it was acknowledged or not.
        for reference in references(&store, query(RunFilter::default(), 200)) {
            let kept = detail(&store, &reference).unwrap();
            let history: Vec<_> = kept
                .received
                .iter()
                .map(|received| received.notification.clone())
                .collect();
            assert_eq!(kept.summary.notifications as usize, history.len());
            assert_eq!(kept.summary.record, fold_all(&history).unwrap());
        }
    }
}

/// A small disk of its own, for as long as this lives.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"])
            .arg(dir.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Leaves no byte free.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_refuses_keeps_what_it_has_and_recovers_by_itself() {
    let Some(disk) = Disk::mount() else {
        let why = "skipped: a_full_disk_refuses_keeps_what_it_has_and_recovers_by_itself: mounting a small disk is not permitted here";
        return writeln!(std::io::stdout(), "{why}").unwrap();
    };
    let data = disk.0.path().join("data");
    let store = open(&data);
    append(&store, running("web", "kept", 0), 0);
    let ballast = disk.0.path().join("ballast");
    fill(&ballast);

    let mut refused = 0;
    let mut accepted = vec!["kept".to_owned()];
    for n in 0..200 {
        let reference = format!("r{n}");
        match try_append(&store, ended("web", &reference, n, "success"), n) {
            Ok(_) => accepted.push(reference),
            Err(StoreError::DiskFull(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "the disk was not full");
    assert_eq!(detail(&store, "kept").unwrap().received.len(), 1, "reading goes on");

    std::fs::remove_file(&ballast).unwrap();
    let after = append(&store, running("web", "after", 1000), 1000).run;
    accepted.push("after".into());
    assert_eq!(
        after.counter as usize,
        accepted.len(),
        "what was refused took no counter"
    );
    drop(store);
    let store = open(&data);
    let mut kept = references(&store, query(RunFilter::default(), 200));
    kept.sort();
    accepted.sort();
    assert_eq!(kept, accepted);
}

const MANY: u32 = 300;

fn add_many(store: &SqliteStore) {
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
    let store = SqliteStore::open(dir.path(), counting, RunLimits::default()).unwrap();
    add_many(&store);
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
    add_many(&store);
    append(&store, ended("web", "r", 0, "success"), 1);
    append(&store, running("web", "other", 0), 2);
    drop(store);
    let unfolded = r#"UPDATE runs SET folded = 3, status = 1, completion = NULL, finished = NULL,
        record = json_remove(json_set(record, '$.status', 'running'), '$.finished_at') WHERE reference_id = 'r';
        UPDATE pipelines SET running = running + 1, success = success - 1;"#;
    take_back(dir.path(), unfolded);
    // A run that cannot be folded stays as it was and blocks no other.
    let broken: Fold = Arc::new(|all| match all {
        [one] => fold()(std::slice::from_ref(one)),
        _ => Err(FoldError::Failed("no time".into())),
    });
    let store = SqliteStore::open(dir.path(), broken, RunLimits::default()).unwrap();
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
