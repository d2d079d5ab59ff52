//! Notes of one delivery for the next: DX's failing, the runs that need not be read, and why a run waits.
//!
//! Advice only: it is not synced, and a note that is missing, torn or foreign is ignored.

use super::entry::{RunKey, what_is_wrong};
use super::error::SpoolError;
use super::files::{Content, FileKind};
use super::layout::{self, OUTLOOK, RUNS, TROUBLE};
use super::open::Spool;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The largest outlook, in bytes: its text is cut far below.
const MAX_OUTLOOK: u64 = 16 * 1024;
/// Characters of a reason that are kept.
const MAX_WHY: usize = 512;
/// Bytes of one run in the list of runs that need not be read.
const ENTRY: usize = 32;
/// The most runs in that list: 3 MiB, which are read in a millisecond.
const MOST_RUNS_READ: usize = 100_000;

/// The notes on deliveries to one destination.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub struct Outlook {
    /// Set while the destination accepts nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Pause>,
    /// The end of the pause that the destination asked for: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_until: Option<u64>,
    /// Set while the policies, or the rules, give no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judging: Option<Pause>,
    /// The time until which no jobs are sent, as the destination does not take them: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_jobs_until: Option<u64>,
}

/// A pause that grows with the time for which something has been failing.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// The time of the first failure: milliseconds since 1970.
    pub since: u64,
    /// The end of the pause: milliseconds since 1970.
    pub until: u64,
    /// The reason.
    pub why: String,
}

/// The time at which a run that was read is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadAgain {
    /// At this time: milliseconds since 1970.
    At(u64),
    /// As soon as policies and rules give verdicts again.
    WhenJudged,
    /// As soon as its directory changes.
    WhenChanged,
}

/// The runs that were read: the time of the last change of each directory in nanoseconds since 1970, and when to read it again.
pub type RunsRead = BTreeMap<RunKey, (u64, ReadAgain)>;

impl ReadAgain {
    fn encode(self) -> u64 {
        match self {
            Self::At(time) => time.min(u64::MAX - 2),
            Self::WhenJudged => u64::MAX - 1,
            Self::WhenChanged => u64::MAX,
        }
    }

    fn decode(number: u64) -> Self {
        match number {
            u64::MAX => Self::WhenChanged,
            number if number == u64::MAX - 1 => Self::WhenJudged,
            time => Self::At(time),
        }
    }
}

impl Spool {
    /// The notes on deliveries of this name, which is letters and digits.
    #[must_use]
    pub fn outlook(&self, name: &str) -> Outlook {
        let path = Path::new(OUTLOOK).join(format!("{name}.json"));
        match self.files.read(&path, MAX_OUTLOOK) {
            Ok(Content::Whole(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
            _ => Outlook::default(),
        }
    }

    /// Writes the notes on deliveries to a destination.
    ///
    /// # Errors
    /// The error of the disk. Delivery does not depend on it.
    pub fn note_outlook(&self, name: &str, outlook: &Outlook) -> Result<(), SpoolError> {
        let mut outlook = outlook.clone();
        for pause in [&mut outlook.failing, &mut outlook.judging].into_iter().flatten() {
            pause.why = pause.why.chars().take(MAX_WHY).collect();
        }
        let bytes = serde_json::to_vec(&outlook).map_err(|e| SpoolError::Encode { reason: e.to_string() })?;
        self.put_advice(&format!("{name}.json"), &bytes)
    }

    /// The runs that deliveries of this name need not read.
    #[must_use]
    pub fn runs_read(&self, name: &str) -> RunsRead {
        let path = Path::new(OUTLOOK).join(format!("{name}.runs"));
        let Ok(Content::Whole(bytes)) = self.files.read(&path, (ENTRY * MOST_RUNS_READ) as u64) else {
            return RunsRead::new();
        };
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        entries
            .iter()
            .map(|entry| {
                let key = RunKey::from_bytes(std::array::from_fn(|place| entry[place]));
                (key, (number(&entry[16..24]), ReadAgain::decode(number(&entry[24..]))))
            })
            .collect()
    }

    /// Notes the runs that deliveries need not read.
    ///
    /// # Errors
    /// The error of the disk. Delivery does not depend on it.
    pub fn note_runs_read(&self, name: &str, runs: &RunsRead) -> Result<(), SpoolError> {
        let mut bytes = Vec::with_capacity(runs.len().min(MOST_RUNS_READ) * ENTRY);
        for (key, (changed, again)) in runs.iter().take(MOST_RUNS_READ) {
            bytes.extend(key.to_bytes());
            bytes.extend(changed.to_be_bytes());
            bytes.extend(again.encode().to_be_bytes());
        }
        self.put_advice(&format!("{name}.runs"), &bytes)
    }

    /// The time of the last change of a run's directory: nanoseconds since 1970. None if there is no such run.
    #[must_use]
    pub fn changed_at(&self, key: RunKey) -> Option<u64> {
        let found = self.files.metadata(&layout::run(key)).ok()?;
        (found.kind == FileKind::Directory).then(|| nanoseconds(found.modified))
    }

    fn put_advice(&self, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        let dir = Path::new(OUTLOOK);
        match self.write_unsynced(dir, name, bytes) {
            Err(SpoolError::Vanished { .. }) => {
                self.make_dir(dir)?;
                self.write_unsynced(dir, name, bytes)
            }
            done => done,
        }
    }

    /// The runs, each with the time of the last change of its directory as [`Spool::changed_at`] gives it, as many as there is time for.
    /// Begins at index `first` and goes round, so that each has its turn; also returns the number of the rest.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn runs_by_change(
        &self,
        first: usize,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(Vec<(RunKey, u64)>, usize), SpoolError> {
        /// The number of names whose times are read between two checks of the clock.
        const AT_ONCE: usize = 64;
        let mut keys = self.runs()?;
        let all = keys.len();
        if all > 0 {
            keys.rotate_left(first % all);
        }
        let (mut found, mut left) = (Vec::with_capacity(all), all);
        for keys in keys.chunks(AT_ONCE) {
            if !go_on() {
                break;
            }
            left -= keys.len();
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let times = self
                .files
                .changes_of(Path::new(RUNS), &names)
                .map_err(|e: io::Error| self.failed("check", Path::new(RUNS))(e))?;
            found.extend(
                keys.iter()
                    .zip(times)
                    .filter_map(|(key, time)| Some((*key, nanoseconds(time?)))),
            );
        }
        Ok((found, left))
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The largest trouble file, in bytes: its message is cut far below.
const MAX_TROUBLE: u64 = 64 * 1024;
/// Characters of a message that are kept: it may quote an answer of any server.
const MAX_MESSAGE: usize = 4096;

/// The reason why the last attempt did not deliver a run.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The time of the attempt: RFC 3339.
    pub at: String,
    /// DX's or pipefold's name of the error, such as `invalid_auth`.
    pub kind: String,
    /// The error and advice, cut at 4096 characters.
    pub message: String,
    /// The time of the first failure since the last success: milliseconds since 1970.
    #[serde(default)]
    pub since: u64,
    /// The end of its pause, unless it is the caller's own run: milliseconds since 1970.
    #[serde(default)]
    pub until: u64,
    /// A short digest of the token of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Spool {
    /// Notes why the run could not be delivered, in place of an earlier note. A run that is gone is skipped. Nothing is synced: a build
    /// does not wait for a disk because of advice.
    ///
    /// # Errors
    /// The error of the disk. Delivery does not depend on it.
    pub fn note_trouble(&self, key: RunKey, trouble: &Trouble) -> Result<(), SpoolError> {
        let mut trouble = trouble.clone();
        trouble.message = trouble.message.chars().take(MAX_MESSAGE).collect();
        let bytes = serde_json::to_vec(&trouble).map_err(|e| SpoolError::Encode { reason: e.to_string() })?;
        match self.write_unsynced(&layout::run(key), TROUBLE, &bytes) {
            Err(SpoolError::Vanished { .. }) => Ok(()),
            done => done,
        }
    }

    /// Removes the note on the run.
    ///
    /// # Errors
    /// The error of the disk. Delivery does not depend on it.
    pub fn clear_trouble(&self, key: RunKey) -> Result<(), SpoolError> {
        let path = layout::run(key).join(TROUBLE);
        match self.files.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The note on the run in this directory, or the fault of the note. A note that a crash of the machine has emptied counts as absent.
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
