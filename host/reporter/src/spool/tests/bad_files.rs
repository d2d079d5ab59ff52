//! Torn, truncated, foreign, zero-byte and planted files on a real disk.

use super::super::{SpoolError, layout};
use super::*;
use rustix::fs::{CWD, Mode};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

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
    let too_large = [whole.as_slice(), &vec![b' '; 600 * 1024]].concat();
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
    fs::write(&newer, r#"{"version":4}"#).unwrap();
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

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn missing_directories_are_created_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one/two/spool/");
    let spool = Spool::open(&path).unwrap();
    for name in [
        "one",
        "one/two",
        "one/two/spool",
        "one/two/spool/runs",
        "one/two/spool/rejected",
        "one/two/spool/aside",
    ] {
        assert_eq!(mode(&dir.path().join(name)), 0o700, "{name}");
    }
    record(&spool, "a", 1);
    let file = path.join(super::super::layout::run(RunKey::of("a")));
    assert_eq!(mode(&file), 0o700);
    assert_eq!(
        mode(&fs::read_dir(file).unwrap().next().unwrap().unwrap().path()),
        0o600
    );
    // The same place again, also by a relative name with dots in it.
    assert_eq!(load(&Spool::open(&path.join("./")).unwrap(), "a").entries.len(), 1);
}

#[test]
fn opening_read_only_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    assert!(matches!(Spool::open_existing(&path), Err(SpoolError::Missing { .. })));
    assert!(!path.exists());

    fs::create_dir(&path).unwrap();
    chmod(&path, 0o755);
    let empty = Spool::open_existing(&path).unwrap();
    assert_eq!(
        (
            empty.runs().unwrap(),
            empty.rejected().unwrap().len(),
            empty.measure().unwrap().files
        ),
        (vec![], 0, 0)
    );
    assert_eq!((fs::read_dir(&path).unwrap().count(), mode(&path)), (0, 0o755));

    record(&Spool::open(&path).unwrap(), "a", 1);
    let torn = path
        .join(super::super::layout::run(RunKey::of("a")))
        .join(format!("{}.json", EntryId::random().unwrap()));
    fs::write(&torn, "{").unwrap();
    let looking = Spool::open_existing(&path).unwrap();
    let run = load(&looking, "a");
    assert_eq!(
        (run.entries.len(), run.aside.len(), run.aside[0].moved_to.as_deref()),
        (1, 1, None)
    );
    assert!(torn.exists());
    assert!(matches!(
        looking.record(&entry("a", Hook::Step, 0)),
        Err(SpoolError::ReadOnly { .. })
    ));
}

#[test]
fn readable_by_others_is_closed_writable_is_refused() {
    for (given, after) in [
        (0o755, Some(0o700)),
        (0o740, Some(0o700)),
        (0o700, Some(0o700)),
        (0o770, None),
        (0o702, None),
        (0o1777, None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        drop(Spool::open(&path).unwrap());
        chmod(&path, given);
        match (Spool::open(&path), after) {
            (Ok(_), Some(after)) => assert_eq!(mode(&path), after, "{given:o}"),
            (Err(error @ SpoolError::WritableByOthers { .. }), None) => {
                assert!(error.to_string().contains("chmod 700"), "{error}");
                assert!(matches!(
                    Spool::open_existing(&path),
                    Err(SpoolError::WritableByOthers { .. })
                ));
            }
            (other, _) => panic!("{given:o}: {other:?}"),
        }
    }
}

#[test]
fn the_mode_of_a_directory_with_other_files_is_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes"), "mine").unwrap();
    chmod(dir.path(), 0o755);
    for _ in 0..2 {
        drop(Spool::open(dir.path()).unwrap());
        assert_eq!((mode(dir.path()), mode(&dir.path().join("runs"))), (0o755, 0o700));
    }
}

#[test]
fn a_link_or_a_file_in_place_of_the_spool_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link, dangling, file) = (
        dir.path().join("real"),
        dir.path().join("link"),
        dir.path().join("dangling"),
        dir.path().join("file"),
    );
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    symlink(dir.path().join("nowhere"), &dangling).unwrap();
    fs::write(&file, "").unwrap();
    for path in [&link, &dangling, &link.join(""), &link.join(".")] {
        let error = Spool::open(path).unwrap_err();
        assert!(matches!(error, SpoolError::Link { .. }), "{}: {error}", path.display());
        assert!(matches!(Spool::open_existing(path), Err(SpoolError::Link { .. })));
    }
    assert!(matches!(Spool::open(&file), Err(SpoolError::NotADirectory { .. })));
    assert!(matches!(
        Spool::open(&file.join("spool")),
        Err(SpoolError::NotADirectory { .. })
    ));
    assert!(matches!(Spool::open(Path::new("")), Err(SpoolError::NoName)));
    assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn a_link_within_the_spool_is_not_followed() {
    for name in ["runs", "rejected", "aside"] {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("spool"), dir.path().join("target"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&target).unwrap();
        symlink(&target, path.join(name)).unwrap();
        let error = Spool::open(&path).unwrap_err();
        assert!(
            matches!(&error, SpoolError::NotADirectory { path } if path.ends_with(name)),
            "{error}"
        );
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }
}

#[test]
fn another_users_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let me = rustix::process::geteuid().as_raw();
    // Root can give a directory away; other users find one of root's.
    let (path, owner) = if me == 0 {
        std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
        (dir.path(), 12345)
    } else {
        (Path::new("/"), 0)
    };
    for opened in [Spool::open(path), Spool::open_existing(path)] {
        let error = opened.unwrap_err();
        assert!(matches!(error, SpoolError::WrongOwner { .. }), "{error}");
        assert!(error.to_string().contains(&format!("id {owner}")), "{error}");
    }
}

/// A small file system of its own, or none where the test may not mount one.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let args = ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"];
        let done = std::process::Command::new("mount").args(args).arg(dir.path()).output();
        done.is_ok_and(|out| out.status.success()).then_some(Self(dir))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

/// Where nothing can be mounted, only the same test on the simulated disk covers a full one.
#[test]
fn a_disk_that_fills_up_keeps_what_it_accepted() {
    let Some(mount) = Mount::new() else { return };
    let spool = Spool::open(&mount.0.path().join("spool")).unwrap();
    let mut accepted = Vec::new();
    let error = loop {
        match spool.record(&entry("a", Hook::Step, accepted.len())) {
            Ok(recorded) => accepted.push(recorded.id),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::NoSpace { .. }), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    let run = load(&spool, "a");
    assert_eq!((ids(&run), run.aside), (sorted(accepted), vec![]));
    assert!(matches!(
        spool.lock_until(std::time::Instant::now()),
        super::super::LockState::Unsupported | super::super::LockState::Held(_)
    ));
}

#[test]
fn a_read_only_disk_is_named_and_what_is_on_it_can_be_read() {
    let Some(mount) = Mount::new() else { return };
    let path = mount.0.path().join("spool");
    let kept = record(&Spool::open(&path).unwrap(), "a", 1);
    let done = std::process::Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(mount.0.path())
        .output()
        .unwrap();
    assert!(done.status.success());
    let spool = Spool::open(&path).unwrap();
    assert_eq!(ids(&load(&spool, "a")), kept);
    assert!(matches!(
        spool.record(&entry("a", Hook::Step, 1)),
        Err(SpoolError::ReadOnly { .. })
    ));
    assert!(matches!(spool.try_lock(), super::super::LockState::Unsupported));
    assert!(matches!(
        Spool::open(&mount.0.path().join("other")),
        Err(SpoolError::ReadOnly { .. })
    ));
}
