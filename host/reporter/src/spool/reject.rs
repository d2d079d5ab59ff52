//! What DX refused for good: moved out of the way with DX's words, never sent again, never deleted.

use super::error::SpoolError;
use super::files::Content;
use super::key::{self, EntryId, RunKey};
use super::layout::{self, REJECTED};
use super::open::Spool;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The largest reason file, in bytes: 10,000 ids take a third of it, the request and DX's words the rest.
const MAX_REASON: u64 = 1024 * 1024;
/// Ends the name of a reason file.
const REASON: &str = ".reason.json";
/// Characters of DX's words that are kept: an answer can be any page that a proxy made up.
const MAX_MESSAGE: usize = 4096;

/// What was sent, and what DX said.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// When: RFC 3339.
    pub at: String,
    /// Where it was sent.
    pub url: String,
    /// DX's name of the error, such as `invalid_json`.
    pub code: String,
    /// DX's words; past 4096 characters cut.
    pub message: String,
    /// The body that was sent; null when it does not fit.
    pub request: serde_json::Value,
    /// The run's `reference_id`.
    #[serde(default)]
    pub reference_id: String,
}

/// A rejection, as [`Spool::rejected`] lists it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The run.
    pub run: RunKey,
    /// The records that the request was made of.
    pub ids: BTreeSet<EntryId>,
    /// What was sent, and what DX said.
    #[serde(flatten)]
    pub rejection: Rejection,
}

impl Spool {
    /// Moves `ids` of the run into `rejected/`, with the reason beside them. If it is interrupted, those that were not moved yet still
    /// wait, and the same call later does the rest.
    ///
    /// # Errors
    /// What the disk said.
    pub fn reject(
        &self,
        key: RunKey,
        ids: impl IntoIterator<Item = EntryId>,
        rejection: &Rejection,
    ) -> Result<(), SpoolError> {
        let ids: BTreeSet<EntryId> = ids.into_iter().collect();
        let dir = Path::new(REJECTED);
        let name = format!("{key}-{}{REASON}", key::digest_of(&ids));
        let mut rejected = Rejected {
            run: key,
            ids,
            rejection: rejection.clone(),
        };
        rejected.rejection.message = rejection.message.chars().take(MAX_MESSAGE).collect();
        // Who was told to empty it may have removed it.
        self.make_dir(dir)?;
        // The reason first: a record without one would be a riddle, a reason without records is passed over.
        self.write_whole(dir, &name, &rejected.encode()?)?;
        let run = layout::run(key);
        for id in &rejected.ids {
            let from = run.join(layout::record(*id));
            match self.files.rename(&from, &layout::rejected(key, *id)) {
                // Moved by an earlier attempt.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                done => done.map_err(self.failed("move to rejected", &from))?,
            }
        }
        // Their new place before their old one: a record may be in both after a crash, but not in neither.
        self.sync(dir)?;
        match self.sync(&run) {
            Err(SpoolError::Vanished { .. }) => Ok(()),
            done => done,
        }
    }

    /// Moves what was rejected back to what waits: all of it, or that of one run. Answers how many records. What the rejection said is
    /// forgotten; a run that DX refuses again is rejected again.
    ///
    /// # Errors
    /// What the disk said. Then some may be back already, and the same call later does the rest.
    pub fn take_back(&self, only: Option<RunKey>) -> Result<usize, SpoolError> {
        let dir = Path::new(REJECTED);
        let mut back = 0;
        for rejected in self.rejected()? {
            let key = rejected.run;
            if only.is_some_and(|only| only != key) {
                continue;
            }
            self.make_run(key)?;
            // The directory may be a moment old, and its own name not safe yet.
            self.sync(Path::new(layout::RUNS))?;
            for id in &rejected.ids {
                let from = layout::rejected(key, *id);
                match self.files.rename(&from, &layout::run(key).join(layout::record(*id))) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    done => {
                        done.map_err(self.failed("take back", &from))?;
                        back += 1;
                    }
                }
            }
            self.sync(&layout::run(key))?;
            let reason = dir.join(format!("{key}-{}{REASON}", key::digest_of(&rejected.ids)));
            let _ = self.files.remove(&reason);
        }
        self.sync(dir)?;
        Ok(back)
    }

    /// What DX refused, in no order. A reason that cannot be read, or whose records still wait, is passed over.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn rejected(&self) -> Result<Vec<Rejected>, SpoolError> {
        let dir = Path::new(REJECTED);
        let mut names = BTreeSet::new();
        match self
            .files
            .list(dir, &mut |name| names.extend(name.to_str().map(str::to_owned)))
        {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.failed("list", dir)(e)),
            _ => {}
        }
        let mut found = Vec::new();
        for name in names.iter().filter(|name| name.ends_with(REASON)) {
            let Ok(Content::Whole(bytes)) = self.files.read(&dir.join(name), MAX_REASON) else {
                continue;
            };
            let Ok(mut rejected) = serde_json::from_slice::<Rejected>(&bytes) else {
                continue;
            };
            let run = rejected.run;
            rejected
                .ids
                .retain(|id| names.contains(&format!("{run}-{}", layout::record(*id))));
            if !rejected.ids.is_empty() {
                found.push(rejected);
            }
        }
        Ok(found)
    }
}

impl Rejected {
    fn encode(&mut self) -> Result<Vec<u8>, SpoolError> {
        let failed = |e: serde_json::Error| SpoolError::Encode { reason: e.to_string() };
        let bytes = serde_json::to_vec_pretty(self).map_err(failed)?;
        if bytes.len() as u64 <= MAX_REASON {
            return Ok(bytes);
        }
        self.rejection.request = serde_json::Value::Null;
        serde_json::to_vec_pretty(self).map_err(failed)
    }
}
