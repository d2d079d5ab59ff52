//! Runs that are over and delivered leave the way: `runs/` holds what may wait, and a command that looks for such is not slowed down by
//! what was.

use super::error::SpoolError;
use super::key::{EntryId, RunKey};
use super::layout::{self, DONE, Role};
use super::open::Spool;
use std::io;
use std::path::Path;

impl Spool {
    /// Moves a run to those that are done, if all of its records are marked as sent. The caller knows that it is over.
    ///
    /// What is recorded of it later brings it back ([`Spool::bring_back`]). A process that is recording at this moment finds its file moved
    /// when it syncs the directory by its name, and records again; a file of one that dies between is brought back by housekeeping.
    ///
    /// # Errors
    /// What the disk said. Then the run stays where it is, which costs later commands a look.
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
            // Another process was quicker, or an earlier part of the run is there, which goes in its own time.
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

    /// Moves a run from those that are done to those that may wait, durably. False when it is not there.
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

    /// The records of the run in this directory, if all were sent; none when something waits.
    pub(super) fn settled_in(&self, run: &Path) -> io::Result<Option<Vec<EntryId>>> {
        let mut ids = Vec::new();
        self.files.list(run, &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                ids.push(id);
            }
        })?;
        let Ok((sent, _)) = self.read_sent_in(run) else {
            return Ok(None);
        };
        Ok(ids.iter().all(|id| sent.contains(id)).then_some(ids))
    }
}
