//! Records that leave the spool: rejected ones, and the export and import of waiting ones, one JSON object a line.

use super::entry::{Entry, EntryId, MAX_RECORD, NotARecord, RunKey, digest_of, what_is_wrong};
use super::error::SpoolError;
use super::files::Content;
use super::layout;
use super::layout::{REJECTED, Role, SetAside};
use super::open::Spool;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::io::{BufRead, Read, Write};
use std::path::Path;

/// The longest line, in bytes: a record, its id and some punctuation.
const MAX_LINE: u64 = MAX_RECORD + 1024;
/// The most bad lines that are listed; the rest is counted.
const MAX_NAMED: usize = 100;

#[derive(Serialize)]
struct LineOut<'a> {
    id: EntryId,
    sent: bool,
    entry: &'a Entry,
}

#[derive(Deserialize)]
struct LineIn {
    id: EntryId,
    sent: bool,
    /// Not yet an [`Entry`]: the version distinguishes a later program's entry from a broken one.
    entry: serde_json::Value,
}

/// The result of [`Spool::export`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// The number of runs.
    pub runs: usize,
    /// The number of records, one a line.
    pub records: usize,
    /// Files that could not be read, and so are not in the export.
    pub aside: Vec<SetAside>,
}

/// A line that is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The line's number, from 1.
    pub number: u64,
    /// The fault.
    pub why: String,
}

/// The result of [`Spool::import`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The number of records that are new here.
    pub new: usize,
    /// The number of records that were here already.
    pub known: usize,
    /// The first hundred bad lines.
    pub bad: Vec<BadLine>,
    /// The number of further bad lines.
    pub more_bad: usize,
}

impl Spool {
    /// Writes every waiting run, whole: a sent record may still decide the run's result. Tokens are in it as in the spool, as a short
    /// digest. The spool does not change, except that bad files are set aside.
    ///
    /// # Errors
    /// [`SpoolError::Export`] if `out` fails; else an error if the spool cannot be read.
    pub fn export(&self, out: &mut dyn Write) -> Result<Exported, SpoolError> {
        let mut done = Exported::default();
        for key in self.runs()? {
            if self.run_is_waiting(key)? {
                self.export_run(key, out, &mut done)?;
            }
        }
        out.flush().map_err(SpoolError::Export)?;
        Ok(done)
    }

    /// One record at a time: a spool may be larger than the memory.
    fn export_run(&self, key: RunKey, out: &mut dyn Write, done: &mut Exported) -> Result<(), SpoolError> {
        let run = layout::run(key);
        let mut ids = Vec::new();
        let listed = self.files.list(&run, &mut |name| match layout::role(name) {
            Role::Record(id) => ids.push(id),
            Role::Stray => done
                .aside
                .push(Self::leave(&run.join(name), "is not a file of the spool".into())),
            Role::Sent | Role::Trouble | Role::Temporary | Role::Passing => {}
        });
        if let Err(e) = listed {
            done.aside.push(Self::leave(&run, format!("cannot be listed ({e})")));
            return Ok(());
        }
        ids.sort_unstable();
        let sent = self.read_sent(key)?.0.ids;
        let before = done.records;
        for id in ids {
            match self.read_record(key, id) {
                Ok((entry, _)) => {
                    let line = LineOut {
                        id,
                        sent: sent.contains(&id),
                        entry: &entry,
                    };
                    serde_json::to_writer(&mut *out, &line).map_err(|e| SpoolError::Export(e.into()))?;
                    out.write_all(b"\n").map_err(SpoolError::Export)?;
                    done.records += 1;
                }
                Err(why) => done.aside.extend(self.deal_with(&run.join(layout::record(id)), why)),
            }
        }
        done.runs += usize::from(done.records > before);
        Ok(())
    }

    /// Records each record of an export durably. A record that is here already is unchanged, so the same file may be imported again. Bad
    /// lines are skipped and listed by number; empty lines are ignored.
    ///
    /// # Errors
    /// [`SpoolError::Import`] if `input` fails, else as [`Spool::record`]; earlier lines are recorded then.
    pub fn import(&self, input: &mut dyn BufRead) -> Result<Imported, SpoolError> {
        let mut done = Imported::default();
        let mut sent: (Option<RunKey>, Vec<EntryId>) = (None, Vec::new());
        let mut number = 0;
        while let Some(line) = next_line(input).map_err(SpoolError::Import)? {
            number += 1;
            match line.as_deref().map_err(Clone::clone).and_then(parse) {
                Ok(None) => {}
                Ok(Some((id, was_sent, key, entry))) => {
                    // An export keeps the records of a run together, so this is one write a run.
                    if sent.0 != Some(key) {
                        self.mark_imported(&mut sent)?;
                        sent.0 = Some(key);
                    }
                    if self.has_record(key, id)? {
                        done.known += 1;
                    } else {
                        self.put(id, &entry)?;
                        done.new += 1;
                    }
                    if was_sent {
                        sent.1.push(id);
                    }
                }
                Err(why) if done.bad.len() < MAX_NAMED => done.bad.push(BadLine { number, why }),
                Err(_) => done.more_bad += 1,
            }
        }
        self.mark_imported(&mut sent)?;
        Ok(done)
    }

    fn mark_imported(&self, sent: &mut (Option<RunKey>, Vec<EntryId>)) -> Result<(), SpoolError> {
        let ids = std::mem::take(&mut sent.1);
        match sent.0 {
            Some(key) if !ids.is_empty() => self.mark_sent(key, ids),
            _ => Ok(()),
        }
    }

    fn has_record(&self, key: RunKey, id: EntryId) -> Result<bool, SpoolError> {
        let path = layout::run(key).join(layout::record(id));
        match self.files.metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(e) => Err(self.failed("check", Path::new(&path))(e)),
        }
    }
}

/// The next line without its end, or its fault; none at the end of the input.
fn next_line(input: &mut dyn BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    if input.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
        // The rest of the line, in pieces, so that it is never in memory whole.
        let mut rest = Vec::new();
        while rest.last() != Some(&b'\n') {
            rest.clear();
            if input.take(MAX_LINE).read_until(b'\n', &mut rest)? == 0 {
                break;
            }
        }
        return Ok(Some(Err(format!("is longer than {MAX_LINE} bytes"))));
    }
    Ok(Some(Ok(line)))
}

type Parsed = (EntryId, bool, RunKey, Entry);

fn parse(line: &[u8]) -> Result<Option<Parsed>, String> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let line: LineIn = serde_json::from_slice(line).map_err(|e| what_is_wrong(&e))?;
    let entry = Entry::decode_any(line.entry.to_string().as_bytes()).map_err(|e| match e {
        NotARecord::Newer => "was exported by a newer pipefold: import it with that one".to_owned(),
        NotARecord::Broken(why) => why,
    })?;
    let key = entry.run_key().ok_or("has no reference_id")?;
    Ok(Some((line.id, line.sent, key, entry)))
}

/// The largest reason file, in bytes: 10,000 ids take a third of it, the request and DX's message the rest.
const MAX_REASON: u64 = 1024 * 1024;
/// The end of a reason file's name.
const REASON: &str = ".reason.json";
/// The longest message of DX, in characters: an answer can be any page of a proxy.
const MAX_MESSAGE: usize = 4096;

/// A refused request, and DX's answer.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The time of the answer: RFC 3339.
    pub at: String,
    /// The address that it was sent to.
    pub url: String,
    /// DX's name of the error, such as `invalid_json`.
    pub code: String,
    /// DX's message, cut at 4096 characters.
    pub message: String,
    /// The body that was sent; null if it does not fit.
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
    /// The records that the request was made from.
    pub ids: BTreeSet<EntryId>,
    /// A refused request, and DX's answer.
    #[serde(flatten)]
    pub rejection: Rejection,
}

impl Spool {
    /// Moves `ids` of the run into `rejected/`, with the reason beside them. If it is interrupted, those that were not moved yet still
    /// wait, and the same call later does the rest.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn reject(
        &self,
        key: RunKey,
        ids: impl IntoIterator<Item = EntryId>,
        rejection: &Rejection,
    ) -> Result<(), SpoolError> {
        let ids: BTreeSet<EntryId> = ids.into_iter().collect();
        let dir = Path::new(REJECTED);
        let name = format!("{key}-{}{REASON}", digest_of(&ids));
        let mut rejected = Rejected {
            run: key,
            ids,
            rejection: rejection.clone(),
        };
        rejected.rejection.message = rejection.message.chars().take(MAX_MESSAGE).collect();
        // A user may have removed the directory to empty it.
        self.make_dir(dir)?;
        // The reason first: a record without one could not be explained, a reason without records is skipped.
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
        // The new directory before the old one: a record may be in both after a crash, but not in neither.
        self.sync(dir)?;
        match self.sync(&run) {
            Err(SpoolError::Vanished { .. }) => Ok(()),
            done => done,
        }
    }

    /// Moves rejected records back to the waiting ones: all, or those of one run. Returns their number. The reasons are removed; a run that
    /// DX refuses again is rejected again.
    ///
    /// # Errors
    /// The error of the disk. Then some may be back already, and the same call later does the rest.
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
            let reason = dir.join(format!("{key}-{}{REASON}", digest_of(&rejected.ids)));
            let _ = self.files.remove(&reason);
        }
        self.sync(dir)?;
        Ok(back)
    }

    /// The rejected runs, in no order. A reason that cannot be read, or whose records still wait, is skipped.
    ///
    /// # Errors
    /// If the directory cannot be read.
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
