//! A disk that is full.

use super::support::{append, detail, ended, open, query, references, running, try_append};
use crate::store::{RunFilter, StoreError};
use std::io::Write;
use std::path::Path;
use std::process::Command;

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
