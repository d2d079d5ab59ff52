//! Removal of runs, the full spool, export and import.

use super::super::{Limits, Rejection, SpoolError, Trouble};
use super::*;
use std::io::{BufReader, Write};
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn finish_and_send(spool: &Spool, reference_id: &str) {
    put(spool, &entry(reference_id, Hook::Finish, 0));
    send(spool, reference_id);
}

fn send(spool: &Spool, reference_id: &str) {
    spool
        .mark_sent(RunKey::of(reference_id), ids(&load(spool, reference_id)))
        .unwrap();
}

#[test]
fn a_finished_and_delivered_run_is_removed_after_a_day() {
    let (_dir, spool) = spool();
    finish_and_send(&spool, "done");
    record(&spool, "unfinished", 1);
    send(&spool, "unfinished");
    put(&spool, &entry("unsent", Hook::Finish, 0));
    let now = SystemTime::now();
    assert_eq!(spool.prune_at(now + 23 * HOUR).unwrap().removed, 0);
    assert_eq!(
        spool.prune_at(now - 48 * HOUR).unwrap().removed,
        0,
        "a clock that was put back removes nothing"
    );
    assert_eq!(spool.prune_at(now + 25 * HOUR).unwrap().removed, 1);
    let mut left = spool.runs().unwrap();
    left.sort_unstable();
    let mut expected = [RunKey::of("unfinished"), RunKey::of("unsent")];
    expected.sort_unstable();
    assert_eq!(left, expected);
}

#[test]
fn housekeeping_ends_in_time_and_comes_to_all_runs_in_the_end() {
    let (_dir, spool) = spool();
    for number in 0..20 {
        finish_and_send(&spool, &format!("run-{number}"));
    }
    let later = SystemTime::now() + 25 * HOUR;
    let in_no_time = spool.prune_within(later, Some(Duration::ZERO)).unwrap();
    assert_eq!((in_no_time.removed, in_no_time.not_checked), (0, 19));
    let mut removed = 0;
    while removed < 20 {
        removed += spool
            .prune_within(later, Some(Duration::from_micros(500)))
            .unwrap()
            .removed;
    }
    assert!(spool.runs().unwrap().is_empty());
}

#[test]
fn past_the_limit_delivered_runs_are_removed_first() {
    let (_dir, spool) = spool();
    // A run of one record and its `sent` takes three blocks: its directory's, and a file's twice.
    let spool = spool.with_limits(Limits {
        size: 6 * 4096,
        ..Default::default()
    });
    for run in ["first", "second"] {
        finish_and_send(&spool, run);
        std::thread::sleep(Duration::from_millis(20));
    }
    let waiting = record(&spool, "waiting", 2);
    let pruned = spool.prune().unwrap();
    assert_eq!((pruned.removed, pruned.full), (1, false), "{pruned:?}");
    assert!(
        !spool.runs().unwrap().contains(&RunKey::of("first")),
        "the oldest goes first"
    );
    assert_eq!(pruned.size, spool.measure().unwrap());

    let more = record(&spool, "waiting", 4);
    let pruned = spool.prune().unwrap();
    assert_eq!((pruned.removed, pruned.full), (1, true), "{pruned:?}");
    let error = spool.record(&entry("new", Hook::Start, 0)).unwrap_err();
    assert!(
        matches!(error, SpoolError::Full { .. }) && error.to_string().contains("pipefold flush"),
        "{error}"
    );
    assert_eq!(
        ids(&load(&spool, "waiting")),
        sorted([waiting, more].concat()),
        "what waits is never removed"
    );

    send(&spool, "waiting");
    assert!(!spool.prune().unwrap().full);
    record(&spool, "new", 1);
}

#[test]
fn the_number_of_records_of_a_run_is_limited() {
    let (_dir, spool) = spool();
    let spool = spool.with_limits(Limits {
        records_per_run: 3,
        ..Default::default()
    });
    record(&spool, "a", 3);
    let error = spool.record(&entry("a", Hook::Step, 3)).unwrap_err();
    assert!(matches!(error, SpoolError::TooMany { limit: 3, .. }), "{error}");
    assert_eq!(
        (load(&spool, "a").entries.len(), spool.measure().unwrap().files),
        (3, 3)
    );
    record(&spool, "b", 1);
}

#[test]
fn steps_leave_a_place_for_the_end_of_their_run() {
    let (_dir, spool) = spool();
    let spool = spool.with_limits(Limits {
        records_per_run: 20,
        ..Default::default()
    });
    record(&spool, "a", 18);
    let error = spool.record(&entry("a", Hook::Step, 18)).unwrap_err();
    assert!(matches!(error, SpoolError::TooMany { limit: 18, .. }), "{error}");
    put(&spool, &entry("a", Hook::Finish, 0));
}

#[test]
fn trouble_is_noted_replaced_and_forgotten() {
    let (_dir, spool) = spool();
    let key = RunKey::of("a");
    let mut trouble = Trouble {
        at: "2025-01-01T00:00:00Z".into(),
        kind: "invalid_auth".into(),
        message: "x".repeat(9000),
        since: 1,
        until: 2,
        token: None,
    };
    spool.note_trouble(key, &trouble).unwrap();
    assert_eq!(spool.runs().unwrap(), [], "a run that is gone is not made again");
    record(&spool, "a", 1);
    spool.note_trouble(key, &trouble).unwrap();
    (trouble.until, trouble.token) = (2, Some("0123abcd".into()));
    spool.note_trouble(key, &trouble).unwrap();
    trouble.message.truncate(4096);
    assert_eq!(load(&spool, "a").trouble, Some(trouble));
    spool.clear_trouble(key).unwrap();
    spool.clear_trouble(key).unwrap();
    assert_eq!(load(&spool, "a").trouble, None);
}

#[test]
fn a_request_too_large_for_its_reason_is_left_out() {
    let (_dir, spool) = spool();
    let all = record(&spool, "a", 1);
    let text = "y".repeat(2 * 1024 * 1024);
    let reason = Rejection {
        at: "2025-01-01T00:00:00Z".into(),
        url: "https://example.test".into(),
        code: "invalid_json".into(),
        message: text.clone(),
        request: text.into(),
        reference_id: "a".into(),
    };
    spool.reject(RunKey::of("a"), all, &reason).unwrap();
    let rejected = spool.rejected().unwrap();
    assert_eq!(
        (
            rejected[0].rejection.message.len(),
            rejected[0].rejection.request.is_null()
        ),
        (4096, true)
    );
    assert!(!spool.run_is_waiting(RunKey::of("a")).unwrap());
    let pruned = spool.prune_at(SystemTime::now() + 25 * HOUR).unwrap();
    assert_eq!(
        (pruned.removed, spool.rejected().unwrap().len()),
        (1, 1),
        "the empty run goes, the rejected record stays"
    );
}

#[test]
fn one_process_at_a_time_delivers() {
    use super::super::LockState::{Busy, Held};
    use std::time::Instant;
    let (_dir, spool) = spool();
    let other = Spool::open(spool.path()).unwrap();
    let held = spool.try_lock();
    assert!(matches!(held, Held(_)));
    assert!(matches!(other.try_lock(), Busy));
    assert!(matches!(
        other.lock_until(Instant::now() + Duration::from_millis(20)),
        Busy
    ));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.lock_until(Instant::now() + Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(20));
        drop(held);
        assert!(matches!(waiting.join().unwrap(), Held(_)));
    });
}

#[test]
fn an_import_brings_each_waiting_record_once() {
    let (_dir, here) = spool();
    let (_other, there) = spool();
    let partly = record(&here, "partly", 3);
    here.mark_sent(RunKey::of("partly"), [partly[1]]).unwrap();
    let waiting = record(&here, "waiting", 2);
    let delivered = record(&here, "delivered", 1);
    here.mark_sent(RunKey::of("delivered"), delivered).unwrap();

    let mut file = Vec::new();
    let exported = here.export(&mut file).unwrap();
    assert_eq!((exported.runs, exported.records, exported.aside.len()), (2, 5, 0));
    assert_eq!(file.iter().filter(|b| **b == b'\n').count(), 5);

    for round in 0..2 {
        let imported = there.import(&mut file.as_slice()).unwrap();
        assert_eq!(
            (imported.new + imported.known, imported.known, imported.bad.len()),
            (5, 5 * round, 0)
        );
        for run in ["partly", "waiting"] {
            let (a, b) = (load(&here, run), load(&there, run));
            assert_eq!((a.entries, a.sent), (b.entries, b.sent));
        }
        assert_eq!(there.runs().unwrap().len(), 2);
    }
    assert_eq!(load(&there, "waiting").waiting().count(), waiting.len());
    assert_eq!(
        load(&here, "waiting").waiting().count(),
        waiting.len(),
        "an export delivers nothing"
    );
}

#[test]
fn bad_lines_are_skipped_and_listed_by_number() {
    let (_dir, here) = spool();
    record(&here, "a", 2);
    let mut good = Vec::new();
    here.export(&mut good).unwrap();
    let lines: Vec<&[u8]> = good.split(|b| *b == b'\n').collect();
    let id = EntryId::random().unwrap();

    let mut file = Vec::new();
    writeln!(file, "not json").unwrap();
    file.write_all(lines[0]).unwrap();
    writeln!(
        file,
        "\n\r\n{{\"id\":\"../../etc/passwd\",\"sent\":false,\"entry\":{{}}}}"
    )
    .unwrap();
    writeln!(file, "{}", "x".repeat(1024 * 1024)).unwrap();
    writeln!(file, r#"{{"id":"{id}","sent":false,"entry":{{"version":4}}}}"#).unwrap();
    let nameless = String::from_utf8(lines[0].to_vec())
        .unwrap()
        .replace("\"reference_id\":\"a\"", "\"reference_id\":null");
    writeln!(file, "{nameless}").unwrap();
    file.extend([0xff, 0xfe, b'\n']);
    // The last line has no end, as after an editor.
    file.write_all(lines[1]).unwrap();

    let (_other, there) = spool();
    let imported = there.import(&mut BufReader::with_capacity(7, file.as_slice())).unwrap();
    let numbers: Vec<u64> = imported.bad.iter().map(|bad| bad.number).collect();
    assert_eq!((imported.new, numbers), (2, vec![1, 4, 5, 6, 7, 8]), "{imported:#?}");
    assert!(imported.bad[2].why.contains("longer"), "{imported:#?}");
    assert!(imported.bad[3].why.contains("newer"), "{imported:#?}");
    assert_eq!(load(&there, "a").entries, load(&here, "a").entries);
}

#[test]
fn many_bad_lines_need_little_memory() {
    let (_dir, spool) = spool();
    let imported = spool.import(&mut "x\n".repeat(5000).as_bytes()).unwrap();
    assert_eq!((imported.bad.len(), imported.more_bad), (100, 4900));
}
