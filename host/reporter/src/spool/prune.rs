//! Housekeeping: what was delivered goes, what was not stays, and a spool that is full says so.

use super::entry::Hook;
use super::error::SpoolError;
use super::files::{Kind, Metadata};
use super::key::{EntryId, RunKey};
use super::layout::{self, ASIDE, FULL, REJECTED, RUNS, Role};
use super::open::Spool;
use super::strays::SetAside;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What a file takes is a whole number of these, on nearly every file system: thousands of small records cost more than their bytes.
const BLOCK: u64 = 4096;

/// How much is in the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes on disk, in whole blocks of 4 KiB.
    pub bytes: u64,
    /// Files, of any kind.
    pub files: usize,
    /// Runs.
    pub runs: usize,
}

/// What [`Spool::prune`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many runs were removed.
    pub removed: usize,
    /// What is left.
    pub size: Size,
    /// True when nothing new is accepted until something was delivered.
    pub full: bool,
    /// What was found beside the runs and does not belong there.
    pub aside: Vec<SetAside>,
}

/// A run as housekeeping sees it.
struct Held {
    key: RunKey,
    bytes: u64,
    files: usize,
    /// When anything last happened to it.
    newest: SystemTime,
}

impl Size {
    fn add(&mut self, found: &Metadata) {
        self.bytes += on_disk(found);
        self.files += usize::from(found.kind != Kind::Directory);
    }

    fn forget(&mut self, run: &Held) {
        self.bytes = self.bytes.saturating_sub(run.bytes);
        self.files = self.files.saturating_sub(run.files);
        self.runs = self.runs.saturating_sub(1);
    }
}

fn on_disk(found: &Metadata) -> u64 {
    found.len.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Spool {
    /// [`prune`](Self::prune), if it is this process's turn, which it is once in 64 times: walking a large spool
    /// takes longer than all else that a process does.
    ///
    /// # Errors
    /// As [`Spool::prune`].
    pub fn prune_in_turn(&self) -> Result<Option<Pruned>, SpoolError> {
        if EntryId::random()?.is_on_duty() {
            return self.prune().map(Some);
        }
        Ok(None)
    }

    /// Removes each run that is finished and delivered, and to which nothing happened for a day ([`Limits::keep`](super::Limits)). Past
    /// the size limit, delivered runs go before their day, the quietest first; if that is not enough, nothing new is accepted any more
    /// until there is room. What was not delivered, rejected or set aside is never removed.
    ///
    /// It looks at every file: a tenth of a second for a full spool. Every flush calls it, and one record and one other delivery in 64.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn prune(&self) -> Result<Pruned, SpoolError> {
        self.prune_at(SystemTime::now())
    }

    pub(super) fn prune_at(&self, now: SystemTime) -> Result<Pruned, SpoolError> {
        let mut done = Pruned::default();
        let mut runs = self.survey(now, &mut done)?;
        // A time to come is a clock that was put back: wait until it is past.
        let quiet = |run: &Held| now.duration_since(run.newest).is_ok_and(|age| age > self.limits.keep);
        runs.retain(|run| !(quiet(run) && self.is_finished(run.key) && self.remove(run, &mut done)));
        if done.size.bytes > self.limits.size {
            runs.sort_unstable_by_key(|run| run.newest);
            for run in &runs {
                if done.size.bytes <= self.limits.size {
                    break;
                }
                self.remove(run, &mut done);
            }
        }
        done.full = done.size.bytes > self.limits.size;
        self.mark_full(done.full);
        Ok(done)
    }

    /// How much is in the spool. It looks at every file.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn measure(&self) -> Result<Size, SpoolError> {
        let mut size = Size::default();
        for dir in [RUNS, REJECTED, ASIDE] {
            for (name, found) in self.look(Path::new(dir))? {
                size.add(&found);
                if found.kind == Kind::Directory {
                    size.runs += usize::from(dir == RUNS);
                    self.look(&Path::new(dir).join(name))?
                        .iter()
                        .for_each(|(_, found)| size.add(found));
                }
            }
        }
        Ok(size)
    }

    /// Measures everything, sets strays among the runs aside, clears what crashed processes left behind.
    fn survey(&self, now: SystemTime, done: &mut Pruned) -> Result<Vec<Held>, SpoolError> {
        for dir in [REJECTED, ASIDE].map(Path::new) {
            for (name, found) in self.look(dir)? {
                done.size.add(&found);
                if layout::role(&name) == Role::Temporary {
                    self.clear_temporary(&dir.join(name), now);
                }
            }
        }
        let mut runs = Vec::new();
        for (name, found) in self.look(Path::new(RUNS))? {
            let path = Path::new(RUNS).join(&name);
            let key = name.to_str().and_then(|name| name.parse().ok());
            let (Some(key), Kind::Directory) = (key, found.kind) else {
                done.aside.extend(self.set_aside(&path, "is no run's directory".into()));
                done.size.add(&found);
                continue;
            };
            let mut run = Held {
                key,
                bytes: on_disk(&found),
                files: 0,
                newest: SystemTime::UNIX_EPOCH,
            };
            for (name, found) in self.look(&path)? {
                run.bytes += on_disk(&found);
                run.files += 1;
                run.newest = run.newest.max(found.modified);
                if layout::role(&name) == Role::Temporary {
                    self.clear_temporary(&path.join(name), now);
                }
            }
            if run.files == 0 {
                run.newest = found.modified;
            }
            done.size.bytes += run.bytes;
            done.size.files += run.files;
            done.size.runs += 1;
            runs.push(run);
        }
        Ok(runs)
    }

    /// A directory's names; one that is gone has none.
    fn look(&self, dir: &Path) -> Result<Vec<(OsString, Metadata)>, SpoolError> {
        match self.files.list_with_metadata(dir) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
            other => other.map_err(self.failed("list", dir)),
        }
    }

    /// True when the run has a finish, or nothing at all.
    fn is_finished(&self, key: RunKey) -> bool {
        // The cheap question first: as a rule, what is old and still here waits for something.
        let Ok(Some(ids)) = self.settled(key) else { return false };
        ids.is_empty()
            || ids
                .into_iter()
                .any(|id| matches!(self.read_record(key, id), Ok((entry, _)) if entry.hook == Hook::Finish))
    }

    /// The records of a run that was delivered whole; none when something waits.
    fn settled(&self, key: RunKey) -> io::Result<Option<Vec<EntryId>>> {
        let mut ids = Vec::new();
        self.files.list(&layout::run(key), &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                ids.push(id);
            }
        })?;
        let Ok((sent, _)) = self.read_sent(key) else {
            return Ok(None);
        };
        Ok(ids.iter().all(|id| sent.contains(id)).then_some(ids))
    }

    /// Removes a run if all of it was delivered. Only what was delivered when it looked is removed: a record that comes meanwhile stays,
    /// and its directory with it.
    fn remove(&self, run: &Held, done: &mut Pruned) -> bool {
        let dir = layout::run(run.key);
        let Ok(Some(ids)) = self.settled(run.key) else {
            return false;
        };
        // `sent` after the records: if this is interrupted between them, they still count as delivered.
        let mut names: Vec<String> = ids.into_iter().map(layout::record).collect();
        names.extend([layout::TROUBLE.to_owned(), layout::SENT.to_owned()]);
        for name in names {
            match self.files.remove(&dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return false,
                _ => {}
            }
        }
        let removed = self.files.remove_dir(&dir).is_ok();
        if removed {
            done.size.forget(run);
            done.removed += 1;
        }
        removed
    }

    /// Makes or removes the marker that [`Spool::record`] looks for. If the disk refuses, the next one tries again.
    fn mark_full(&self, full: bool) {
        let path = Path::new(FULL);
        let marked = self.files.metadata(path).is_ok();
        if full && !marked {
            let _ = self.files.write_new(
                path,
                b"Too much waits here. See `pipefold status`; `pipefold flush` delivers it.\n",
            );
        } else if !full && marked {
            let _ = self.files.remove(path);
        }
    }
}
