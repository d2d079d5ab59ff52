//! A crash before every single operation of record, mark, reject, rewrite, prune and import.

use super::super::files::{Content, Files};
use super::super::simulated::{Crash, Simulated};
use super::super::{Rejection, SpoolError, layout};
use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn crashes() -> impl Iterator<Item = Crash> {
    [Crash::DropAll, Crash::KeepAll]
        .into_iter()
        .chain((0..12).map(Crash::Some))
}

fn open(disk: &Simulated) -> Result<Spool, SpoolError> {
    Spool::on(Arc::new(disk.clone()))
}

/// For each way to crash and each operation of `act`: prepares a disk, acts until the crash, and checks what is left. `check` also gets the
/// results of `prepare` and, if it ended, of `act`.
fn explore<P, A>(
    prepare: impl Fn(&Spool) -> P,
    act: impl Fn(&Spool, &P) -> Result<A, SpoolError>,
    check: impl Fn(&Spool, &P, Option<A>),
) {
    for how in crashes() {
        for n in 1.. {
            let disk = Simulated::new();
            let spool = open(&disk).unwrap();
            let prepared = prepare(&spool);
            disk.crash_at(n);
            let answer = act(&spool, &prepared);
            let crashed = disk.has_crashed();
            assert!(crashed || answer.is_ok(), "{:?}", answer.err());
            disk.crash(how);
            check(&open(&disk).unwrap(), &prepared, answer.ok());
            if !crashed {
                assert!(n > 3, "there was something to interrupt");
                break;
            }
        }
    }
}

#[test]
fn accepted_records_survive_and_none_is_torn() {
    let attempts: Vec<Entry> = ["a", "a", "b", "a"]
        .iter()
        .enumerate()
        .map(|(n, run)| entry(run, Hook::Step, n))
        .collect();
    for how in crashes() {
        for n in 1.. {
            let disk = Simulated::new();
            disk.crash_at(n);
            let mut accepted = Vec::new();
            if let Ok(spool) = open(&disk) {
                accepted.extend(
                    attempts
                        .iter()
                        .map_while(|e| Some((spool.record(e).ok()?.id, e.clone()))),
                );
            }
            let crashed = disk.has_crashed();
            disk.crash(how);

            let spool = open(&disk).unwrap();
            let runs: Vec<SpooledRun> = spool
                .runs()
                .unwrap()
                .into_iter()
                .map(|key| spool.load(key).unwrap())
                .collect();
            let found: Vec<_> = runs.iter().flat_map(|run| &run.entries).collect();
            for one in &accepted {
                assert!(found.contains(&one), "crash {how:?} at {n} lost {one:?}");
            }
            assert!(
                found.iter().all(|(_, e)| attempts.contains(e)),
                "crash {how:?} at {n} made something up"
            );
            assert!(
                runs.iter().all(|run| run.aside.is_empty()),
                "crash {how:?} at {n} left something torn"
            );
            if !crashed {
                assert_eq!(accepted.len(), attempts.len());
                break;
            }
        }
    }
}

#[test]
fn write_sync_rename_sync_of_the_directory_in_this_order() {
    let disk = Simulated::new();
    let spool = open(&disk).unwrap();
    let run = layout::run(RunKey::of("a"));
    let put = |n| {
        let id = EntryId::random().unwrap();
        disk.take_log();
        // Not `record`, which does housekeeping, by chance.
        spool.put(id, &entry("a", Hook::Step, n)).unwrap();
        let log = disk.take_log();
        let temporary = log
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("sync "))
            .unwrap()
            .to_owned();
        let steps = [
            format!("write {temporary}"),
            format!("sync {temporary}"),
            format!("rename {temporary} {}", run.join(layout::record(id)).display()),
            format!("sync_dir {}", run.display()),
        ];
        (log, steps)
    };
    let (log, [write, sync, rename, sync_dir]) = put(0);
    assert_eq!(
        log[log.len() - 5..],
        [write, sync, "sync_dir runs".into(), rename, sync_dir]
    );
    assert!(log[..log.len() - 5].contains(&format!("create_dir {}", run.display())));

    let (log, steps) = put(1);
    assert_eq!(log, steps, "a run that exists costs two syncs, not three");
}

#[test]
fn a_directory_that_another_process_has_just_made_is_not_trusted() {
    for how in crashes() {
        let disk = Simulated::new();
        let spool = open(&disk).unwrap();
        disk.create_dir(&layout::run(RunKey::of("a"))).unwrap();
        let mine = record(&spool, "a", 1);
        disk.crash(how);
        assert_eq!(ids(&load(&open(&disk).unwrap(), "a")), mine, "{how:?}");
    }
}

#[test]
fn a_mark_names_nothing_that_was_not_sent() {
    explore(
        |spool| {
            let all = record(spool, "a", 3);
            spool.mark_sent(RunKey::of("a"), [all[0]]).unwrap();
            all
        },
        |spool, all| spool.mark_sent(RunKey::of("a"), [all[1], all[2]]),
        |spool, all, _| {
            let run = load(spool, "a");
            assert_eq!(ids(&run), sorted(all.clone()));
            assert!(run.aside.is_empty());
            // It is not synced, so a crash of the machine may leave any part of it. What it does not name is sent again.
            assert!(run.sent.iter().all(|id| all.contains(id)), "{:?}", run.sent);
            spool.mark_sent(RunKey::of("a"), all.clone()).unwrap();
            assert_eq!(load(spool, "a").sent, all.iter().copied().collect());
        },
    );
}

#[test]
fn rejecting_loses_nothing_and_can_be_repeated() {
    let key = RunKey::of("a");
    let reason = Rejection {
        at: "2025-01-01T11:25:18Z".into(),
        url: "https://example.test".into(),
        code: "invalid_timestamp".into(),
        message: "no".into(),
        request: serde_json::json!({"reference_id": "a"}),
        reference_id: "a".into(),
    };
    explore(
        |spool| record(spool, "a", 3),
        |spool, all| spool.reject(key, [all[0], all[1]], &reason),
        |spool, all, done| {
            let run = load(spool, "a");
            assert!(run.aside.is_empty());
            let listed: BTreeSet<_> = spool.rejected().unwrap().into_iter().flat_map(|r| r.ids).collect();
            for id in &all[..2] {
                let bytes = spool.files.read(&layout::rejected(key, *id), u64::MAX);
                let rejected = matches!(&bytes, Ok(Content::Whole(bytes)) if Entry::decode(bytes, key).is_ok());
                assert!(rejected || ids(&run).contains(id), "lost");
                assert_eq!(rejected, listed.contains(id), "a rejected record has its reason");
                assert!(done.is_none() || rejected);
            }
            spool.reject(key, [all[0], all[1]], &reason).unwrap();
            assert_eq!(ids(&load(spool, "a")), [all[2]]);
            let again = spool.rejected().unwrap();
            assert_eq!((again.len(), &again[0].rejection), (1, &reason));
            assert_eq!(again[0].ids, BTreeSet::from([all[0], all[1]]));
        },
    );
}

#[test]
fn judging_again_leaves_the_old_record_or_the_new_one() {
    let (old, mut new) = (entry("a", Hook::Step, 0), entry("a", Hook::Step, 0));
    new.verdict = Judgement::Discard("policy".into());
    explore(
        |spool| spool.record(&old).unwrap().id,
        |spool, id| spool.rewrite(RunKey::of("a"), *id, &new),
        |spool, id, done| {
            let run = load(spool, "a");
            assert_eq!((ids(&run), run.aside.len()), (vec![*id], 0));
            assert!(run.entries[0].1 == new || (done.is_none() && run.entries[0].1 == old));
        },
    );
}

#[test]
fn housekeeping_never_takes_what_was_not_delivered() {
    let later = SystemTime::now() + 2 * DAY;
    explore(
        |spool| {
            for run in ["sent", "partly", "waiting"] {
                record(spool, run, 2);
                spool.record(&entry(run, Hook::Finish, 9)).unwrap();
            }
            spool.mark_sent(RunKey::of("sent"), ids(&load(spool, "sent"))).unwrap();
            let partly = ids(&load(spool, "partly"));
            spool.mark_sent(RunKey::of("partly"), partly[1..].to_vec()).unwrap();
            [partly, ids(&load(spool, "waiting"))]
        },
        |spool, _| spool.prune_at(later).map(|_| ()),
        |spool, [partly, waiting], done| {
            assert_eq!(
                (&ids(&load(spool, "partly")), &ids(&load(spool, "waiting"))),
                (partly, waiting)
            );
            let sent = load(spool, "sent");
            assert!(
                sent.waiting().count() == 0 || sent.is_finished(),
                "what is left of a delivered run is still delivered, or at least over: {sent:?}"
            );
            // Unsynced, so a crash may bring back the directory, but no more than the directory.
            assert!(done.is_none() || sent.aside.is_empty());
        },
    );
}

#[test]
fn an_interrupted_import_is_completed_by_another() {
    let source = open(&Simulated::new()).unwrap();
    let from_a = record(&source, "a", 2);
    let from_b = record(&source, "b", 1);
    source.mark_sent(RunKey::of("a"), [from_a[0]]).unwrap();
    let mut lines = Vec::new();
    source.export(&mut lines).unwrap();
    explore(
        |_| (),
        |spool, ()| spool.import(&mut lines.as_slice()),
        |spool, (), done| {
            let complete = |spool: &Spool| {
                let (a, b) = (load(spool, "a"), load(spool, "b"));
                ids(&a) == sorted(from_a.clone()) && ids(&b) == from_b
            };
            assert!(done.is_none() || complete(spool));
            spool.import(&mut lines.as_slice()).unwrap();
            assert!(complete(spool) && load(spool, "a").sent == [from_a[0]].into());
        },
    );
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_behind() {
    let disk = Simulated::new();
    let spool = open(&disk).unwrap();
    let kept = record(&spool, "a", 1);
    disk.set_room(10);
    let error = spool.record(&entry("a", Hook::Step, 1)).unwrap_err();
    assert!(matches!(error, SpoolError::NoSpace { .. }), "{error}");
    let mut names = Vec::new();
    disk.list(&layout::run(RunKey::of("a")), &mut |name| names.push(name.to_owned()))
        .unwrap();
    assert_eq!(names, [layout::record(kept[0]).as_str()]);
    disk.set_room(u64::MAX);
    assert_eq!(record(&spool, "a", 1).len(), 1);
}

#[test]
fn a_half_written_file_is_removed_after_an_hour() {
    for (age, left) in [(Duration::from_secs(3500), 1), (Duration::from_secs(3700), 0)] {
        let disk = Simulated::new();
        let spool = open(&disk).unwrap();
        record(&spool, "a", 1);
        let path = layout::run(RunKey::of("a")).join(layout::temporary(EntryId::random().unwrap()));
        disk.set_now(SystemTime::now() - age);
        disk.write_new(&path, b"{").unwrap();
        let run = load(&spool, "a");
        assert_eq!((run.entries.len(), run.aside.len()), (1, 0));
        assert_eq!(usize::from(disk.metadata(Path::new(&path)).is_ok()), left, "{age:?}");
    }
}
