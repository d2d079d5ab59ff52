//! Torn, truncated, foreign, zero-byte and planted files on a real disk.

use super::super::layout;
use super::*;
use rustix::fs::{CWD, Mode};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn run_dir(spool: &Spool, reference_id: &str) -> PathBuf {
    spool.path().join(layout::run(RunKey::of(reference_id)))
}

fn new_name(dir: &std::path::Path) -> PathBuf {
    dir.join(layout::record(EntryId::random().unwrap()))
}

#[test]
fn every_bad_file_is_set_aside_named_and_kept() {
    let (dir, spool) = spool();
    let good = record(&spool, "a", 3);
    let run = run_dir(&spool, "a");
    let whole = fs::read(run.join(layout::record(good[0]))).unwrap();
    let other = serde_json::to_vec(&entry("b", Hook::Step, 0)).unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, &whole).unwrap();

    let mut planted = Vec::new();
    let mut plant = |name: PathBuf, contents: &[u8]| {
        fs::write(&name, contents).unwrap();
        planted.push(name);
    };
    plant(new_name(&run), b"");
    plant(new_name(&run), &whole[..whole.len() / 2]);
    plant(new_name(&run), b"\0\0\0\0\0\0\0\0");
    plant(new_name(&run), b"\xff\xfe not text");
    plant(new_name(&run), &other);
    let too_large = [whole.as_slice(), &vec![b' '; 300 * 1024]].concat();
    plant(new_name(&run), &too_large);
    plant(new_name(&run), "[".repeat(100_000).as_bytes());
    plant(run.join("notes.txt"), b"hello");
    plant(run.join("UPPER.json"), &whole);
    plant(run.join(OsStr::from_bytes(b"\xff\x1b[31m.json")), &whole);
    for name in [
        new_name(&run),
        run.join("link"),
        run.join(layout::temporary(EntryId::random().unwrap())),
    ] {
        symlink(&secret, &name).unwrap();
        planted.push(name);
    }
    for name in [new_name(&run), run.join("folder")] {
        fs::create_dir(&name).unwrap();
        fs::write(name.join("inside"), "x").unwrap();
        planted.push(name);
    }
    // Opening a pipe without a writer must not wait.
    let pipe = new_name(&run);
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    planted.push(pipe);
    if rustix::process::geteuid().is_root() {
        let name = new_name(&run);
        fs::write(&name, &whole).unwrap();
        std::os::unix::fs::chown(&name, Some(12345), None).unwrap();
        planted.push(name);
    }

    let loaded = load(&spool, "a");
    assert_eq!(ids(&loaded), sorted(good));
    assert_eq!(loaded.aside.len(), planted.len(), "{:#?}", loaded.aside);
    for stray in &loaded.aside {
        let place = stray.moved_to.as_ref().unwrap();
        assert!(fs::symlink_metadata(spool.path().join(place)).is_ok(), "{stray}");
        assert!(place.contains(&RunKey::of("a").to_string()), "{stray}");
        assert!(!stray.to_string().contains('\u{1b}'), "{stray}");
    }
    assert!(planted.iter().all(|path| fs::symlink_metadata(path).is_err()));
    assert_eq!(spool.aside().unwrap().len(), planted.len());
    assert_eq!(fs::read(&secret).unwrap(), whole);
    assert_eq!(load(&spool, "a").aside, [], "and then it is over");
}

#[test]
fn a_bad_sent_or_trouble_counts_as_none() {
    // A file that a crash of the machine may have cut short is not set aside.
    for (bad, aside) in [("", 0), ("garbage\n", 2), ("0123", 1)] {
        let (_dir, spool) = spool();
        let good = record(&spool, "a", 2);
        spool.mark_sent(RunKey::of("a"), good.clone()).unwrap();
        assert_eq!(load(&spool, "a").waiting().count(), 0);
        assert!(!spool.run_is_waiting(RunKey::of("a")).unwrap());
        for name in [layout::SENT, layout::TROUBLE] {
            fs::write(run_dir(&spool, "a").join(name), bad).unwrap();
        }
        assert!(spool.run_is_waiting(RunKey::of("a")).unwrap());
        let run = load(&spool, "a");
        assert_eq!(
            (run.waiting().count(), run.trouble.clone(), run.aside.len()),
            (2, None, aside),
            "{run:?}"
        );
        spool.mark_sent(RunKey::of("a"), [good[0]]).unwrap();
        assert_eq!(load(&spool, "a").sent, [good[0]].into());
    }
}

#[test]
fn a_link_in_place_of_a_run_is_neither_followed_nor_in_the_way() {
    for plant_link in [true, false] {
        let (dir, spool) = spool();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        let plant = || {
            if plant_link {
                symlink(&target, run_dir(&spool, "a"))
            } else {
                fs::write(run_dir(&spool, "a"), "x")
            }
        };
        plant().unwrap();
        assert!(spool.run_is_waiting(RunKey::of("a")).unwrap());
        let run = load(&spool, "a");
        assert_eq!((run.entries.len(), run.aside.len()), (0, 1));
        plant().unwrap();
        let id = record(&spool, "a", 1);
        assert_eq!((ids(&load(&spool, "a")), spool.aside().unwrap().len()), (id, 2));
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }
}

#[test]
fn a_link_in_place_of_the_lock_or_a_foreign_run_is_set_aside() {
    let (dir, spool) = spool();
    let target = dir.path().join("target");
    symlink(&target, spool.path().join(layout::LOCK)).unwrap();
    assert!(matches!(spool.try_lock(), super::super::LockState::Held(_)));
    assert!(!target.exists());
    fs::create_dir(spool.path().join("runs/not-a-run")).unwrap();
    let pruned = spool.prune().unwrap();
    assert_eq!(pruned.aside.len(), 1, "{pruned:?}");
    assert_eq!((spool.runs().unwrap().len(), spool.aside().unwrap().len()), (0, 2));
}

#[test]
fn a_record_of_a_later_version_stays_for_the_program_that_reads_it() {
    let (_dir, spool) = spool();
    let good = record(&spool, "a", 1);
    let newer = new_name(&run_dir(&spool, "a"));
    fs::write(&newer, r#"{"version":3}"#).unwrap();
    let run = load(&spool, "a");
    assert_eq!(
        (ids(&run), run.aside.len(), run.aside[0].moved_to.as_deref()),
        (good, 1, None)
    );
    assert!(newer.exists());
}

#[test]
fn a_large_run_is_read_in_parts_waiting_records_first() {
    let (_dir, spool) = spool();
    let spool = spool.with_limits(super::super::Limits {
        loaded_at_once: 1,
        ..Default::default()
    });
    let all = record(&spool, "a", 3);
    for done in 0..3 {
        let run = load(&spool, "a");
        assert_eq!((run.entries.len(), run.unread), (1, 2));
        assert!(!run.sent.contains(&run.entries[0].0), "after {done}");
        spool.mark_sent(RunKey::of("a"), ids(&run)).unwrap();
    }
    assert_eq!(load(&spool, "a").sent, all.into_iter().collect());
}
