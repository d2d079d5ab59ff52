//! Reading what was recorded.

use super::entry::{Entry, Hook, MAX_RECORD, NotARecord};
use super::error::SpoolError;
use super::files::Content;
use super::key::{EntryId, RunKey};
use super::layout::{self, DONE, RUNS, Role};
use super::open::Spool;
use super::strays::SetAside;
use super::trouble::Trouble;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Everything the spool has about one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledRun {
    /// The run.
    pub key: RunKey,
    /// Its records, by id: in no order that means anything.
    pub entries: Vec<(EntryId, Entry)>,
    /// The ids that DX's last `ok` covered. Some of them may be gone.
    pub sent: BTreeSet<EntryId>,
    /// Why it could not be delivered, the last time it was tried.
    pub trouble: Option<Trouble>,
    /// What was found among them and cannot be used.
    pub aside: Vec<SetAside>,
    /// How many records were left on disk, because more than [`Limits::loaded_at_once`](super::Limits) would have been read. The run's end
    /// and start are read first, then what waits: once these are marked as sent, the next load reads others.
    pub unread: usize,
}

impl SpooledRun {
    /// The records that DX has not accepted yet.
    pub fn waiting(&self) -> impl Iterator<Item = &(EntryId, Entry)> {
        self.entries.iter().filter(|(id, _)| !self.sent.contains(id))
    }

    /// True once a `pipeline-finish` was recorded.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.entries.iter().any(|(_, entry)| entry.hook == Hook::Finish)
    }
}

/// Why a record was not read.
pub(super) enum Unread {
    /// It was removed meanwhile.
    Gone,
    /// It may be good: it stays where it is.
    Leave(String),
    /// It is torn or foreign.
    Broken(String),
}

impl Spool {
    /// All runs, in no order. Cheap: one directory is listed and nothing is opened.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<RunKey>, SpoolError> {
        self.keys_in(Path::new(RUNS))
    }

    /// All runs that are over and delivered, and kept for a while. Cheap as [`Spool::runs`] is.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn done_runs(&self) -> Result<Vec<RunKey>, SpoolError> {
        self.keys_in(Path::new(DONE))
    }

    fn keys_in(&self, dir: &Path) -> Result<Vec<RunKey>, SpoolError> {
        let mut keys = Vec::new();
        let listed = self.files.list(dir, &mut |name| {
            keys.extend(name.to_str().and_then(|name| name.parse::<RunKey>().ok()));
        });
        match listed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("list", dir)(e)),
            _ => Ok(keys),
        }
    }

    /// Reads a run. What is torn, foreign or planted among its files is set aside and named; a half-written file of a crashed process is
    /// removed once it is an hour old. A run that does not exist is empty.
    ///
    /// # Errors
    /// When the run's directory cannot be read. A single bad file is none.
    pub fn load(&self, key: RunKey) -> Result<SpooledRun, SpoolError> {
        let mut aside = Vec::new();
        let mut run = layout::run(key);
        let mut ids = self.sort_out(&run, &mut aside)?;
        if ids.is_empty() {
            let done = layout::done(key);
            ids = self.sort_out(&done, &mut aside)?;
            if !ids.is_empty() {
                run = done;
            }
        }
        let (sent, bad) = self.read_sent_in(&run)?;
        aside.extend(bad.and_then(|why| self.set_aside(&run.join(layout::SENT), why)));
        let (trouble, bad) = self.read_trouble_in(&run);
        aside.extend(bad.and_then(|why| self.set_aside(&run.join(layout::TROUBLE), why)));

        ids.sort_unstable_by_key(|id| (!id.may_be_about_the_run(), sent.contains(id), *id));
        let (mut entries, mut size, mut unread) = (Vec::new(), 0, 0);
        for id in ids {
            if size >= self.limits.loaded_at_once {
                unread += 1;
                continue;
            }
            match self.read_record_in(&run, key, id) {
                Ok((entry, len)) => {
                    size += len;
                    entries.push((id, entry));
                }
                Err(why) => aside.extend(self.deal_with(&run.join(layout::record(id)), why)),
            }
        }
        entries.sort_unstable_by_key(|(id, _)| *id);
        Ok(SpooledRun {
            key,
            entries,
            sent,
            trouble,
            aside,
            unread,
        })
    }

    /// The ids of all records of a run, after setting aside what does not belong there.
    fn sort_out(&self, run: &Path, aside: &mut Vec<SetAside>) -> Result<Vec<EntryId>, SpoolError> {
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        let listed = self.files.list(run, &mut |name| match layout::role(name) {
            Role::Record(id) => ids.push(id),
            Role::Sent | Role::Trouble | Role::Passing => {}
            role @ (Role::Temporary | Role::Stray) => others.push((role, OsString::from(name))),
        });
        match listed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                aside.extend(self.set_aside(run, "is not a directory".into()));
                return Ok(Vec::new());
            }
            Err(e) => return Err(self.failed("list", run)(e)),
            Ok(()) => {}
        }
        for (role, name) in others {
            let path = run.join(name);
            aside.extend(match role {
                Role::Temporary => self.clear_temporary(&path, SystemTime::now()),
                _ => self.set_aside(&path, "is no file of the spool's".into()),
            });
        }
        Ok(ids)
    }

    /// Reads one record, and says how many bytes it has.
    pub(super) fn read_record(&self, key: RunKey, id: EntryId) -> Result<(Entry, u64), Unread> {
        self.read_record_in(&layout::run(key), key, id)
    }

    /// The same, of a run in this directory.
    pub(super) fn read_record_in(&self, run: &Path, key: RunKey, id: EntryId) -> Result<(Entry, u64), Unread> {
        let path = run.join(layout::record(id));
        let bytes = match self.files.read(&path, MAX_RECORD) {
            Ok(Content::Whole(bytes)) => bytes,
            Ok(Content::Unusable(why)) => return Err(Unread::Broken(why)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Unread::Gone),
            // The next attempt may succeed.
            Err(e) => return Err(Unread::Leave(format!("cannot be read ({e})"))),
        };
        match Entry::decode(&bytes, key) {
            Ok(entry) => Ok((entry, bytes.len() as u64)),
            Err(NotARecord::Newer) => Err(Unread::Leave(
                "was recorded by a newer pipefold, which can deliver it".into(),
            )),
            Err(NotARecord::Broken(why)) => Err(Unread::Broken(why)),
        }
    }

    pub(super) fn deal_with(&self, path: &Path, unread: Unread) -> Option<SetAside> {
        match unread {
            Unread::Gone => None,
            Unread::Leave(why) => Some(Self::leave(path, why)),
            Unread::Broken(why) => self.set_aside(path, why),
        }
    }

    /// What was set aside so far, by name, in no order: `status` shows it.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn aside(&self) -> Result<Vec<String>, SpoolError> {
        let mut names = Vec::new();
        match self.files.list(Path::new(layout::ASIDE), &mut |name| {
            names.push(name.to_string_lossy().into_owned())
        }) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("list", Path::new(layout::ASIDE))(e)),
            _ => Ok(names),
        }
    }
}
