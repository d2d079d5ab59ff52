//! Where things lie in the spool. Paths are relative to it.

use super::key::{EntryId, RunKey};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The directory of all runs.
pub(super) const RUNS: &str = "runs";
/// Runs that are over and that DX has, until they are removed: out of the way of whatever looks for runs that wait.
pub(super) const DONE: &str = "done";
/// How deliveries went, for the next one: advice only.
pub(super) const OUTLOOK: &str = "outlook";
/// What DX refused.
pub(super) const REJECTED: &str = "rejected";
/// What is torn or foreign.
pub(super) const ASIDE: &str = "aside";
/// Held by the process that delivers. Never removed, or two processes could hold two different files.
pub(super) const LOCK: &str = "drain.lock";
/// While it exists, no steps are accepted that did not fail.
pub(super) const FULL: &str = "full";
/// While it exists, nothing new is accepted.
pub(super) const FULL_FOR_ALL: &str = "full-for-all";
/// What the reader of GoCD's feeds has read so far (pipefold-cli's `commands/gocd`). The spool itself never looks into it.
pub(super) const GOCD: &str = "gocd";
/// In a run: what DX's last `ok` covered.
pub(super) const SENT: &str = "sent";
/// In a run: why it could not be delivered.
pub(super) const TROUBLE: &str = "trouble.json";
/// Begins the name of a file that is being written.
const TEMPORARY: &str = ".tmp-";
/// Begins the name that NFS gives a file that was removed while some process had it open.
const REMOVED_ON_NFS: &str = ".nfs";

/// What a file in the directory of a run is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Record(EntryId),
    Sent,
    Trouble,
    Temporary,
    /// Goes by itself.
    Passing,
    Stray,
}

pub(super) fn role(name: &OsStr) -> Role {
    let Some(name) = name.to_str() else { return Role::Stray };
    if let Some(id) = name.strip_suffix(".json").and_then(|id| id.parse().ok()) {
        return Role::Record(id);
    }
    match name {
        SENT => Role::Sent,
        TROUBLE => Role::Trouble,
        _ if name
            .strip_prefix(TEMPORARY)
            .is_some_and(|id| id.parse::<EntryId>().is_ok()) =>
        {
            Role::Temporary
        }
        _ if name.starts_with(REMOVED_ON_NFS) => Role::Passing,
        _ => Role::Stray,
    }
}

pub(super) fn run(key: RunKey) -> PathBuf {
    Path::new(RUNS).join(key.to_string())
}

/// The run among those that are done.
pub(super) fn done(key: RunKey) -> PathBuf {
    Path::new(DONE).join(key.to_string())
}

pub(super) fn record(id: EntryId) -> String {
    format!("{id}.json")
}

pub(super) fn temporary(id: EntryId) -> String {
    format!("{TEMPORARY}{id}")
}

/// A record among the rejected ones.
pub(super) fn rejected(key: RunKey, id: EntryId) -> PathBuf {
    Path::new(REJECTED).join(format!("{key}-{id}.json"))
}
