//! Reads a run: its records, and which of them were sent.

use super::entry::{Entry, EntryId, Hook, MAX_RECORD, NotARecord, RunKey};
use super::error::SpoolError;
use super::files::Content;
use super::layout::{self, DONE, RUNS, Role, SetAside};
use super::open::Spool;
use super::outlook::Trouble;
use super::sent::{InDx, Sent};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// The contents of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledRun {
    /// The run.
    pub key: RunKey,
    /// The run's records with their ids; the order has no meaning.
    pub entries: Vec<(EntryId, Entry)>,
    /// The ids that DX's last `ok` covered. Some of them may be gone.
    pub sent: BTreeSet<EntryId>,
    /// The states of the run and its jobs that DX has.
    pub in_dx: InDx,
    /// The reason why the last attempt did not deliver it.
    pub trouble: Option<Trouble>,
    /// Files among the records that cannot be used.
    pub aside: Vec<SetAside>,
    /// The number of records left on disk, because more than [`Limits::loaded_at_once`](super::Limits) would have been read. The run's end
    /// and start are read first, then waiting records: once these are marked as sent, the next load reads others.
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

/// The reason why a record was not read.
pub enum Unread {
    /// The record was removed meanwhile.
    Gone,
    /// The record may be good: it stays in place.
    Leave(String),
    /// The record is torn or foreign.
    Broken(String),
}

impl Spool {
    /// All runs, in no order. Cheap: one directory is listed and nothing is opened.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<RunKey>, SpoolError> {
        self.keys_in(Path::new(RUNS))
    }

    /// All runs that are over and delivered, and kept for a while. As cheap as [`Spool::runs`].
    ///
    /// # Errors
    /// If the directory cannot be read.
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

    /// Reads a run. Torn, foreign and planted files are set aside and named; a half-written file of a crashed process is removed once it is
    /// an hour old. A run that does not exist is empty.
    ///
    /// # Errors
    /// If the run's directory cannot be read. A single bad file is not an error.
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
        let (Sent { ids: sent, in_dx }, bad) = self.read_sent_in(&run)?;
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
            in_dx,
            trouble,
            aside,
            unread,
        })
    }

    /// The ids of all records of a run. Files that do not belong there are set aside.
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
                _ => self.set_aside(&path, "is not a file of the spool".into()),
            });
        }
        Ok(ids)
    }

    /// Reads one record, and returns its size in bytes.
    pub(super) fn read_record(&self, key: RunKey, id: EntryId) -> Result<(Entry, u64), Unread> {
        self.read_record_in(&layout::run(key), key, id)
    }

    /// Reads one record of the run in this directory, and returns its size in bytes.
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

    /// The names of files set aside so far, in no order, for `status`.
    ///
    /// # Errors
    /// If the directory cannot be read.
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

impl Spool {
    /// The records of a run that are not marked as sent. Lists one directory and reads one small file, so a delivery can check thousands of
    /// delivered runs before it finds one that waits.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn unsent(&self, key: RunKey) -> Result<BTreeSet<EntryId>, SpoolError> {
        Ok(self.names_of(key)?.0)
    }

    /// Returns true if the run has a record that was not sent, or a file that [`Spool::load`] should name. Reads names and `sent`, no
    /// record.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn run_is_waiting(&self, key: RunKey) -> Result<bool, SpoolError> {
        let (unsent, strange) = self.names_of(key)?;
        Ok(strange || !unsent.is_empty())
    }

    /// The unsent records, and true if any file does not belong there.
    fn names_of(&self, key: RunKey) -> Result<(BTreeSet<EntryId>, bool), SpoolError> {
        let run = layout::run(key);
        let (mut records, mut strange) = (BTreeSet::new(), false);
        let listed = self.files.list(&run, &mut |name| match layout::role(name) {
            Role::Record(id) => {
                records.insert(id);
            }
            Role::Stray => strange = true,
            Role::Sent | Role::Trouble | Role::Temporary | Role::Passing => {}
        });
        match listed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => strange = true,
            Err(e) => return Err(self.failed("list", &run)(e)),
            Ok(()) if records.is_empty() => {}
            Ok(()) => {
                let (sent, bad) = self.read_sent(key)?;
                strange |= bad.is_some();
                records.retain(|id| !sent.ids.contains(id));
            }
        }
        Ok((records, strange))
    }
}
