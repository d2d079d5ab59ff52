//! What does not belong in the spool: moved into `aside/` and named, never followed, never deleted.

use super::files::Kind;
use super::key::EntryId;
use super::layout::ASIDE;
use super::open::Spool;
use pipefold_sandbox::foreign::neutral;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How old a half-written file must be before it is taken for a crashed process's. Writing one takes milliseconds; an hour also covers a
/// runner that was suspended, and a clock that differs a little on a shared disk.
const STALE: Duration = Duration::from_secs(60 * 60);

/// Something found in the spool that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it was, relative to the spool; made [safe to show](pipefold_sandbox::foreign).
    pub name: String,
    /// Why it cannot be used.
    pub why: String,
    /// Where it is now, relative to the spool; none when it was left where it was.
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
    /// Moves `path` into `aside/`, under a name that tells where it was. None when it is gone already.
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

    /// Names `path` and leaves it where it is.
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
        // Random, because renaming replaces what has the name already, and nothing set aside is ever deleted.
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
        if found.kind != Kind::File {
            return self.set_aside(path, "is no regular file".into());
        }
        if now.duration_since(found.modified).is_ok_and(|age| age > STALE) {
            let _ = self.files.remove(path);
        }
        None
    }
}
