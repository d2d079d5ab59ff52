//! `trouble.json`: why a run could not be delivered. Advice for `status` and for the next attempt; nothing depends on it.

use super::entry::what_is_wrong;
use super::error::SpoolError;
use super::files::Content;
use super::key::RunKey;
use super::layout::{self, TROUBLE};
use super::open::Spool;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The largest trouble file, in bytes: its message is cut far below.
const MAX_TROUBLE: u64 = 64 * 1024;
/// Characters of a message that are kept: it may quote an answer that anyone made up.
const MAX_MESSAGE: usize = 4096;

/// Why a run could not be delivered, the last time it was tried.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When: RFC 3339.
    pub at: String,
    /// DX's name of the error, or ours, such as `invalid_auth`.
    pub kind: String,
    /// What happened and what to do; past 4096 characters cut.
    pub message: String,
    /// When it first failed since it last went well: milliseconds since 1970.
    #[serde(default)]
    pub since: u64,
    /// When it is due again, unless it is the caller's own run: milliseconds since 1970.
    #[serde(default)]
    pub until: u64,
    /// A short digest of the token it was tried with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Spool {
    /// Notes why the run could not be delivered, in place of what was noted before. A run that is gone is passed over. Nothing is synced:
    /// a build does not wait for a disk because of advice.
    ///
    /// # Errors
    /// What the disk said. Delivery does not depend on it.
    pub fn note_trouble(&self, key: RunKey, trouble: &Trouble) -> Result<(), SpoolError> {
        let mut trouble = trouble.clone();
        trouble.message = trouble.message.chars().take(MAX_MESSAGE).collect();
        let bytes = serde_json::to_vec(&trouble).map_err(|e| SpoolError::Encode { reason: e.to_string() })?;
        match self.write_unsynced(&layout::run(key), TROUBLE, &bytes) {
            Err(SpoolError::Vanished { .. }) => Ok(()),
            done => done,
        }
    }

    /// Forgets the trouble of the run.
    ///
    /// # Errors
    /// What the disk said. Delivery does not depend on it.
    pub fn clear_trouble(&self, key: RunKey) -> Result<(), SpoolError> {
        let path = layout::run(key).join(TROUBLE);
        match self.files.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The trouble of the run in this directory, or what is wrong with the note. One that a crash of the machine has emptied is none.
    pub(super) fn read_trouble_in(&self, run: &Path) -> (Option<Trouble>, Option<String>) {
        match self.files.read(&run.join(TROUBLE), MAX_TROUBLE) {
            Ok(Content::Whole(bytes)) => match serde_json::from_slice(&bytes) {
                Ok(trouble) => (Some(trouble), None),
                Err(e) if e.is_eof() => (None, None),
                Err(e) => (None, Some(what_is_wrong(&e))),
            },
            Ok(Content::Unusable(why)) => (None, Some(why)),
            Err(_) => (None, None),
        }
    }
}
