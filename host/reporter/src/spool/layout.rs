//! The names of files in the spool, and the handling of files that do not belong there.

use super::entry::{EntryId, RunKey};
use super::files::FileKind;
use super::open::Spool;
use pipefold_sandbox::foreign::neutral;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

/// The directory of all runs.
pub const RUNS: &str = "runs";
/// Runs that are over and that DX has, until they are removed. The search for waiting runs does not read them.
pub const DONE: &str = "done";
/// Notes of deliveries for the next one: advice only.
pub const OUTLOOK: &str = "outlook";
/// Records that DX refused.
pub const REJECTED: &str = "rejected";
/// Torn and foreign files.
pub const ASIDE: &str = "aside";
/// Locked by the process that delivers. Never removed, or two processes could hold two different files.
pub const LOCK: &str = "drain.lock";
/// While it exists, no steps are accepted that did not fail.
pub const FULL: &str = "full";
/// While it exists, nothing new is accepted.
pub const FULL_FOR_ALL: &str = "full-for-all";
/// The position of the reader of GoCD's feeds (pipefold-cli's `commands/gocd`). The spool itself never reads it.
pub const GOCD: &str = "gocd";
/// In a run: the ids that DX's last `ok` covered, and the states that DX has.
pub const SENT: &str = "sent";
/// In a run: the reason why it could not be delivered.
pub const TROUBLE: &str = "trouble.json";
/// The prefix of the name of a file that is being written.
const TEMPORARY: &str = ".tmp-";
/// The prefix of the name that NFS gives to a file that was removed while a process had it open.
const REMOVED_ON_NFS: &str = ".nfs";

/// The role of a file in the directory of a run, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Record(EntryId),
    Sent,
    Trouble,
    Temporary,
    /// Removed by NFS itself.
    Passing,
    Stray,
}

pub fn role(name: &OsStr) -> Role {
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

pub fn run(key: RunKey) -> PathBuf {
    Path::new(RUNS).join(key.to_string())
}

/// The directory of a run that is done.
pub fn done(key: RunKey) -> PathBuf {
    Path::new(DONE).join(key.to_string())
}

pub fn record(id: EntryId) -> String {
    format!("{id}.json")
}

pub fn temporary(id: EntryId) -> String {
    format!("{TEMPORARY}{id}")
}

/// The path of a rejected record.
pub fn rejected(key: RunKey, id: EntryId) -> PathBuf {
    Path::new(REJECTED).join(format!("{key}-{id}.json"))
}

/// The age from which a half-written file counts as a crashed process's. Writing one takes milliseconds; an hour also covers a runner that
/// was suspended, and a clock that differs a little on a shared disk.
const STALE: Duration = Duration::from_secs(60 * 60);

/// A file in the spool that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The file's path, relative to the spool; made [safe to show](pipefold_sandbox::foreign).
    pub name: String,
    /// The reason why it cannot be used.
    pub why: String,
    /// The new path, relative to the spool; none if it was left in place.
    pub moved_to: Option<String>,
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.moved_to {
            Some(place) => write!(f, "{} {}: moved to {place}", self.name, self.why),
            None => write!(f, "{} {}: left where it is", self.name, self.why),
        }
    }
}

impl Spool {
    /// Moves `path` into `aside/`, under a name with the old path. None if it is gone already.
    pub(super) fn set_aside(&self, path: &Path, why: String) -> Option<SetAside> {
        match self.move_aside(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.is_gone(path) => None,
            moved => Some(SetAside {
                name: neutral(&path.to_string_lossy()),
                why,
                moved_to: moved.ok(),
            }),
        }
    }

    /// Leaves `path` in place, to be named in a message.
    pub(super) fn leave(path: &Path, why: String) -> SetAside {
        SetAside {
            name: neutral(&path.to_string_lossy()),
            why,
            moved_to: None,
        }
    }

    fn move_aside(&self, path: &Path) -> io::Result<String> {
        let plain: String = path
            .to_string_lossy()
            .chars()
            // A name that can be typed, short enough for any file system.
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
                    c
                } else {
                    '-'
                }
            })
            .take(150)
            .collect();
        // Random, because renaming replaces a file of that name, and files set aside are never deleted.
        let id = EntryId::random().map_err(io::Error::other)?;
        let place = format!("{ASIDE}/{plain}-{id}");
        match self.files.create_dir(Path::new(ASIDE)) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.files.rename(path, Path::new(&place))?;
        Ok(place)
    }

    fn is_gone(&self, path: &Path) -> bool {
        matches!(self.files.metadata(path), Err(e) if e.kind() == io::ErrorKind::NotFound)
    }

    /// Removes a half-written file that a crashed process left behind. A younger one may still be written to.
    pub(super) fn clear_temporary(&self, path: &Path, now: SystemTime) -> Option<SetAside> {
        let found = self.files.metadata(path).ok()?;
        if found.kind != FileKind::File {
            return self.set_aside(path, "is not a regular file".into());
        }
        if now.duration_since(found.modified).is_ok_and(|age| age > STALE) {
            let _ = self.files.remove(path);
        }
        None
    }
}
