//! The spool's own tests: on the simulated disk for crashes, on the real one for everything else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_files;
mod batch;
mod crash;
mod housekeeping;

use super::{Destination, Entry, EntryId, Hook, Judgement, RunKey, Spool, SpooledRun};
use pipefold_sandbox::Notification;

/// A record of the run `reference_id`; `n` distinguishes it from others.
pub fn entry(reference_id: &str, hook: Hook, n: usize) -> Entry {
    let notification = Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("test".into()),
        reference_id: Some(reference_id.into()),
        started_at: Some("2025-01-01T11:25:18Z".into()),
        step: (hook == Hook::Step).then(|| format!("step {n}")),
        pr_number: i64::try_from(n).ok(),
        ..Notification::default()
    };
    let destination = Destination {
        url: Some("https://example.test".into()),
        token: Some("0123abcd".into()),
    };
    Entry::new(
        hook,
        "2025-01-01T11:25:18Z".into(),
        destination,
        Judgement::Hold,
        notification,
    )
}

/// A spool in a directory that goes with the first value.
pub fn spool() -> (tempfile::TempDir, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&dir.path().join("spool")).unwrap();
    (dir, spool)
}

/// Records one notification as [`Spool::record`] does, without the housekeeping that it does by chance.
fn put(spool: &Spool, entry: &Entry) -> EntryId {
    let id = EntryId::random_for(entry.hook).unwrap();
    spool.put(id, entry).unwrap();
    id
}

/// Records `count` steps of the run, and returns their ids.
pub fn record(spool: &Spool, reference_id: &str, count: usize) -> Vec<EntryId> {
    (0..count)
        .map(|n| put(spool, &entry(reference_id, Hook::Step, n)))
        .collect()
}

pub fn load(spool: &Spool, reference_id: &str) -> SpooledRun {
    spool.load(RunKey::of(reference_id)).unwrap()
}

fn ids(run: &SpooledRun) -> Vec<EntryId> {
    run.entries.iter().map(|(id, _)| *id).collect()
}

fn sorted(mut ids: Vec<EntryId>) -> Vec<EntryId> {
    ids.sort_unstable();
    ids
}
