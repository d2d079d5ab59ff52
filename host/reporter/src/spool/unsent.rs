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
        let run = layout::run(key);
        let mut records = BTreeSet::new();
        let listed = self.files.list(&run, &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                records.insert(id);
            }
        });
        match listed {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(records),
            Err(e) => Err(self.failed("list", &run)(e)),
            Ok(()) if records.is_empty() => Ok(records),
            Ok(()) => {
                let (sent, _) = self.read_sent(key)?;
                records.retain(|id| !sent.contains(id));
                Ok(records)
            }
        }
    }
}
