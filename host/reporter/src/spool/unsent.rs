//! What waits, by the names of files alone.

use super::error::SpoolError;
use super::key::{EntryId, RunKey};
use super::layout::{self, Role};
use super::open::Spool;
use std::collections::BTreeSet;
use std::io;

impl Spool {
    /// The records of a run that are not marked as sent. Lists one directory and reads one small file, so a drain can look at thousands of
    /// delivered runs on its way to the one that waits.
    ///
    /// # Errors
    /// When the run cannot be read.
    pub fn unsent(&self, key: RunKey) -> Result<BTreeSet<EntryId>, SpoolError> {
        Ok(self.names_of(key)?.0)
    }

    /// Whether the run has anything that was not sent, or that [`Spool::load`] should name. It reads names and `sent`, no record.
    ///
    /// # Errors
    /// When the run cannot be read.
    pub fn run_is_waiting(&self, key: RunKey) -> Result<bool, SpoolError> {
        let (unsent, strange) = self.names_of(key)?;
        Ok(strange || !unsent.is_empty())
    }

    /// The unsent records, and whether anything else is there that should not be.
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
                records.retain(|id| !sent.contains(id));
            }
        }
        Ok((records, strange))
    }
}
