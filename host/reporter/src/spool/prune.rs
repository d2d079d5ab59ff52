//! Housekeeping: delivered runs are moved to `done/` and later removed, waiting ones stay, and a full spool is marked.

use super::entry::{EntryId, Hook, RunKey};
use super::error::SpoolError;
use super::files::{FileKind, Metadata};
use super::layout::{self, ASIDE, DONE, FULL, FULL_FOR_ALL, REJECTED, RUNS, Role, SetAside};
use super::open::Spool;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The size of a block on nearly every file system, in bytes. Files take whole blocks: thousands of small records cost more than their
/// bytes.
const BLOCK: u64 = 4096;

/// The time for housekeeping while recording: enough to check nearly all of a spool of 256 MiB, and too short to slow a build.
const IN_PASSING: Duration = Duration::from_millis(20);

/// The time for which housekeeping of a flush may check, and then remove: some 10,000 runs. A spool of 100,000 would take many seconds.
const IN_A_FLUSH: Duration = Duration::from_millis(500);

/// Of the size limit, the part by which the starts and ends of runs may exceed it: a 32 MiB of 256, some 4,000 runs.
const KEPT_FOR_RUNS: u64 = 8;

/// The size of the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes on disk, in whole blocks of 4 KiB.
    pub bytes: u64,
    /// The number of files of any kind.
    pub files: usize,
    /// The number of runs.
    pub runs: usize,
}

/// The result of [`Spool::prune`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The number of runs removed.
    pub removed: usize,
    /// The size of the rest.
    pub size: Size,
    /// True if only failed steps are accepted until something was delivered.
    pub full: bool,
    /// The number of runs that there was no time to check. The size is then an estimate, from the checked ones.
    pub not_checked: usize,
    /// Files beside the runs that do not belong there.
    pub aside: Vec<SetAside>,
}

/// A run, for housekeeping.
struct Held {
    key: RunKey,
    dir: PathBuf,
    bytes: u64,
    files: usize,
    /// The time of its last change.
    newest: SystemTime,
}

impl Size {
    fn add(&mut self, found: &Metadata) {
        self.bytes += on_disk(found);
        self.files += usize::from(found.kind != FileKind::Directory);
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
    /// Runs [`prune`](Self::prune) for a time too short to slow a build, if the spool is full or it is this process's turn, once in 64
    /// times.
    ///
    /// # Errors
    /// As [`Spool::prune`].
    pub fn prune_in_turn(&self) -> Result<Option<Pruned>, SpoolError> {
        if self.is_full() || EntryId::random()?.is_on_duty() {
            return self.prune_in_time().map(Some);
        }
        Ok(None)
    }

    /// Runs [`prune`](Self::prune) for a time too short to slow a build; the rest has its turn another time.
    pub(super) fn prune_in_time(&self) -> Result<Pruned, SpoolError> {
        self.prune_within(SystemTime::now(), Some(IN_PASSING))
    }

    /// Runs [`prune`](Self::prune) for a time that a user of `flush` hardly notices.
    pub(crate) fn prune_in_a_flush(&self) -> Result<Pruned, SpoolError> {
        self.prune_within(SystemTime::now(), Some(IN_A_FLUSH))
    }

    /// Removes each run that is finished and delivered, and did not change for a day ([`Limits::keep`](super::Limits)). Past the size
    /// limit, delivered runs are removed before their day, the least recently changed first; if that is not enough, nothing new is accepted
    /// until there is room. Undelivered, rejected and set-aside files are never removed.
    ///
    /// Checks every file: a tenth of a second for a full spool. A flush, and one record and one other delivery in 64, do as much of this as
    /// there is time for.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn prune(&self) -> Result<Pruned, SpoolError> {
        self.prune_at(SystemTime::now())
    }

    pub(super) fn prune_at(&self, now: SystemTime) -> Result<Pruned, SpoolError> {
        self.prune_within(now, None)
    }

    /// Checks the runs for this long, and removes for as long again. Begins at a random run, so that each has its turn.
    pub(super) fn prune_within(&self, now: SystemTime, time: Option<Duration>) -> Result<Pruned, SpoolError> {
        let mut done = Pruned::default();
        let mut runs = self.survey(now, time.map(|time| Instant::now() + time), &mut done)?;
        let looked = Instant::now();
        let in_time = || time.is_none_or(|time| looked.elapsed() < time);
        // A time in the future is from a clock that was put back since: the run is kept until then.
        let quiet = |run: &Held| now.duration_since(run.newest).is_ok_and(|age| age > self.limits.keep);
        runs.retain(|run| {
            let is_due = quiet(run) || run.dir == layout::done(run.key);
            !(is_due && in_time() && self.is_finished(run) && quiet(run) && self.remove(run, &mut done))
        });
        if done.size.bytes > self.limits.size {
            runs.sort_unstable_by_key(|run| run.newest);
            for run in &runs {
                if done.size.bytes <= self.limits.size || !in_time() {
                    break;
                }
                self.remove(run, &mut done);
            }
        }
        done.full = done.size.bytes > self.limits.size;
        self.mark(FULL, done.full);
        let beyond = self.limits.size.saturating_add(self.limits.size / KEPT_FOR_RUNS);
        self.mark(FULL_FOR_ALL, done.size.bytes > beyond);
        Ok(done)
    }

    /// Measures the spool. Checks every file.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn measure(&self) -> Result<Size, SpoolError> {
        let mut size = Size::default();
        for dir in [RUNS, DONE, REJECTED, ASIDE] {
            for (name, found) in self.list_in(Path::new(dir))? {
                size.add(&found);
                if found.kind == FileKind::Directory {
                    size.runs += usize::from(dir == RUNS || dir == DONE);
                    self.list_in(&Path::new(dir).join(name))?
                        .iter()
                        .for_each(|(_, found)| size.add(found));
                }
            }
        }
        Ok(size)
    }

    /// Measures the spool, sets strays among the runs aside, and removes leftovers of crashed processes. Stops at `until`, and estimates
    /// the rest from the checked runs.
    fn survey(&self, now: SystemTime, until: Option<Instant>, done: &mut Pruned) -> Result<Vec<Held>, SpoolError> {
        for dir in [REJECTED, ASIDE].map(Path::new) {
            for (name, found) in self.list_in(dir)? {
                done.size.add(&found);
                if layout::role(&name) == Role::Temporary {
                    self.clear_temporary(&dir.join(name), now);
                }
            }
        }
        let mut names = Vec::new();
        for dir in [RUNS, DONE] {
            self.names_in(Path::new(dir), &mut |name| names.push((dir, name.to_owned())))?;
        }
        if until.is_some() && !names.is_empty() {
            let first = usize::from(u16::from_be_bytes(EntryId::random()?.last_bytes()));
            let all = names.len();
            names.rotate_left(first % all);
        }
        let all = names.len();
        let mut runs = Vec::new();
        let beside_runs = done.size.bytes;
        for (place, (dir, name)) in names.into_iter().enumerate() {
            if until.is_some_and(|until| place > 0 && Instant::now() >= until) {
                done.not_checked = all - place;
                let (seen, all) = (place as u64, all as u64);
                done.size.bytes = beside_runs + (done.size.bytes - beside_runs) / seen * all;
                break;
            }
            let path = Path::new(dir).join(&name);
            let Ok(found) = self.files.metadata(&path) else {
                continue;
            };
            let key = name.to_str().and_then(|name| name.parse().ok());
            let (Some(key), FileKind::Directory) = (key, found.kind) else {
                done.aside
                    .extend(self.set_aside(&path, "is not the directory of a run".into()));
                done.size.add(&found);
                continue;
            };
            let mut run = Held {
                key,
                dir: path.clone(),
                bytes: on_disk(&found),
                files: 0,
                newest: SystemTime::UNIX_EPOCH,
            };
            for (name, found) in self.list_in(&path)? {
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

    /// Calls `each` with each of a directory's names; a directory that is gone has none.
    fn names_in(&self, dir: &Path, each: &mut dyn FnMut(&OsStr)) -> Result<(), SpoolError> {
        match self.files.list(dir, each) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("list", dir)(e)),
            _ => Ok(()),
        }
    }

    /// A directory's names with their metadata; a directory that is gone has none.
    fn list_in(&self, dir: &Path) -> Result<Vec<(OsString, Metadata)>, SpoolError> {
        match self.files.list_with_metadata(dir) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
            other => other.map_err(self.failed("list", dir)),
        }
    }

    /// Returns true if DX has the run, and it has a finish or no records.
    fn is_finished(&self, run: &Held) -> bool {
        // The cheap check first: an old run usually still waits.
        let Ok(Some(ids)) = self.settled_in(&run.dir) else {
            if run.dir == layout::done(run.key) {
                // A process died while it recorded for a run that was being moved.
                let _ = self.bring_back(run.key);
            }
            return false;
        };
        let is_finish =
            |id| matches!(self.read_record_in(&run.dir, run.key, id), Ok((entry, _)) if entry.hook == Hook::Finish);
        ids.is_empty() || ids.into_iter().any(is_finish)
    }

    /// Removes a run if all of it was delivered. Only records that were delivered at the check are removed: a later record stays, and its
    /// directory with it.
    fn remove(&self, run: &Held, done: &mut Pruned) -> bool {
        let dir = &run.dir;
        let Ok(Some(ids)) = self.settled_in(dir) else {
            return false;
        };
        // `sent` after the records: if this is interrupted between them, they still count as delivered. And the run's end last of them, by
        // its id: if a crash of the machine also removes `sent`, the rest is still a run that has ended.
        let mut ids = ids;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        let mut names: Vec<String> = ids.into_iter().map(layout::record).collect();
        names.extend([layout::TROUBLE.to_owned(), layout::SENT.to_owned()]);
        for name in names {
            match self.files.remove(&dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return false,
                _ => {}
            }
        }
        let removed = self.files.remove_dir(dir).is_ok();
        if removed {
            done.size.forget(run);
            done.removed += 1;
        }
        removed
    }

    /// Creates or removes a marker that [`Spool::record`] reads. After an error of the disk the next process tries again.
    fn mark(&self, name: &str, full: bool) {
        let path = Path::new(name);
        let marked = self.files.metadata(path).is_ok();
        if marked {
            // Created again, since its age is the time since the last check.
            let _ = self.files.remove(path);
        }
        if full {
            let _ = self.files.write_new(
                path,
                b"Too much waits here. See `pipefold status`; `pipefold flush` delivers it.\n",
            );
        }
    }
}

impl Spool {
    /// Moves a run to `done/`, if all of its records are marked as sent. The caller has to know that it is over.
    ///
    /// A later record brings it back (`bring_back`). A process that is recording at this moment finds its file moved when it syncs
    /// the directory by its name, and records again; a file of one that dies between is brought back by housekeeping.
    ///
    /// # Errors
    /// The error of the disk. Then the run stays in place, and later commands read it again.
    pub fn retire(&self, key: RunKey) -> Result<bool, SpoolError> {
        let (run, done) = (layout::run(key), layout::done(key));
        if !self.is_settled(&run) {
            return Ok(false);
        }
        let mut moved = self.files.rename(&run, &done);
        if matches!(&moved, Err(e) if e.kind() == io::ErrorKind::NotFound) {
            self.make_dir(Path::new(DONE))?;
            moved = self.files.rename(&run, &done);
        }
        match moved {
            Ok(()) => {}
            // Another process was quicker, or an earlier part of the run is there, which is removed later.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                return Ok(false);
            }
            Err(e) => return Err(self.failed("move to done", &run)(e)),
        }
        if !self.is_settled(&done) {
            self.bring_back(key)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Moves a run from `done/` back to `runs/`, durably. Returns false if it is not there.
    pub(super) fn bring_back(&self, key: RunKey) -> Result<bool, SpoolError> {
        match self.files.rename(&layout::done(key), &layout::run(key)) {
            Ok(()) => self.sync(Path::new(layout::RUNS)).map(|()| true),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(false),
            Err(e) => Err(self.failed("bring back", &layout::run(key))(e)),
        }
    }

    fn is_settled(&self, run: &Path) -> bool {
        matches!(self.settled_in(run), Ok(Some(ids)) if !ids.is_empty())
    }

    /// The records of the run in this directory, if all were sent; none if any waits.
    fn settled_in(&self, run: &Path) -> io::Result<Option<Vec<EntryId>>> {
        let mut ids = Vec::new();
        self.files.list(run, &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                ids.push(id);
            }
        })?;
        let Ok((sent, _)) = self.read_sent_in(run) else {
            return Ok(None);
        };
        Ok(ids.iter().all(|id| sent.ids.contains(id)).then_some(ids))
    }
}
