//! The position of an import, in a file that a later one goes on from.
//!
//! The file has a head and two places of a fixed size. Each write replaces the older place, with a digest, in one call: a process that is killed
//! leaves at least the one before.

use super::reading::Mark;
use super::{ImportError, Totals};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first word of the file, with the version of its form.
const WORD: &str = "pipefold-import-1";
/// The size of the head: the word and a digest.
const HEAD: usize = 128;
/// The size of a place.
const PLACE: usize = 2048;
/// The size of the digest at the end of a place, and of the line's end.
const CHECK: usize = 33;
/// The time between two syncs: after a crash of the machine, the rows of this time are sent again.
const SYNC: Duration = Duration::from_secs(1);
/// The most rows behind the position of which some are settled.
pub const MOST_BEYOND: usize = 256;

/// The position, and the results up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The number of this write.
    turn: u64,
    bytes: u64,
    rows: u64,
    digest: String,
    /// A bit for each row behind the position, as hexadecimal digits: 1 if it is settled.
    beyond: String,
    /// The size of the file of refused rows.
    pub refused_bytes: u64,
    /// The results.
    pub totals: Totals,
}

impl Saved {
    /// A state at this position. `beyond` has the rows behind it: true for those that are settled.
    pub fn new(at: &Mark, beyond: impl Iterator<Item = bool>, refused_bytes: u64, totals: &Totals) -> Self {
        let mut bits = [0_u8; MOST_BEYOND / 8];
        for (place, is_settled) in beyond.enumerate().take(MOST_BEYOND) {
            bits[place / 8] |= u8::from(is_settled) << (place % 8);
        }
        Self {
            turn: 0,
            bytes: at.bytes,
            rows: at.rows,
            digest: hex(&at.digest),
            beyond: hex(&bits),
            refused_bytes,
            totals: totals.clone(),
        }
    }

    /// The number of rows before the position.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns true if the file has the same bytes before this position.
    pub fn is_at(&self, mark: &Mark) -> bool {
        (self.bytes, self.rows) == (mark.bytes, mark.rows) && self.digest == hex(&mark.digest)
    }

    /// Returns true if the row with this number, counted from 0, is settled.
    pub fn is_settled(&self, number: u64) -> bool {
        let Some(place) = number.checked_sub(self.rows) else {
            return true;
        };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let digits = self.beyond.get(place / 8 * 2..place / 8 * 2 + 2);
        let bits = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bits.is_some_and(|bits| bits >> (place % 8) & 1 == 1)
    }
}

/// The file, locked against other processes.
#[derive(Debug)]
pub struct StateFile {
    file: File,
    path: PathBuf,
    turn: u64,
    synced: Instant,
}

impl StateFile {
    /// Opens or makes the file of an import that `identity` names: its flags and its DX. With `restart`, an earlier state is dropped.
    ///
    /// # Errors
    /// A file that is not of this import, or of another user, or that another process uses; the error of the disk.
    pub fn open(path: &Path, identity: &str, restart: bool) -> Result<(Self, Option<Saved>), ImportError> {
        let failed = |error: io::Error| {
            ImportError::State(format!(
                "cannot open {}: {error}; name another file by --state",
                path.display()
            ))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // Not through a link: the name can be foreseen.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let wrong = |why: &str| Err(ImportError::State(format!("{}: {why}", path.display())));
        if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() {
            return wrong("it is not a file of this user; name another by --state");
        }
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return wrong("another pipefold imports with this state");
        }
        let mut content = Vec::new();
        let most = (HEAD + 2 * PLACE) as u64;
        (&file).take(most).read_to_end(&mut content).map_err(failed)?;
        let is_ours = content.is_empty() || content.starts_with(WORD.as_bytes());
        if !is_ours {
            return wrong("it is not the state of an import; name another file by --state");
        }
        let head = format!("{WORD} {}", hex(&Sha256::digest(identity)));
        let head = format!("{head:<width$}\n", width = HEAD - 1);
        let mut saved = None;
        if !restart && !content.is_empty() {
            if !content.starts_with(head.as_bytes()) {
                return wrong(
                    "the import was begun with other flags or for another DX: repeat those, or give --restart",
                );
            }
            let places = content[HEAD..].chunks(PLACE).filter_map(read_place);
            saved = places.max_by_key(|saved| saved.turn);
        }
        if saved.is_none() {
            file.set_len(0).map_err(failed)?;
            file.write_all_at(head.as_bytes(), 0).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        // Its directory need not be synced: without the file, rows are sent again.
        file = file.try_clone().map_err(failed)?;
        let turn = saved.as_ref().map_or(0, |saved| saved.turn);
        let state = Self {
            file,
            path: path.to_owned(),
            turn,
            synced: Instant::now(),
        };
        Ok((state, saved))
    }

    /// Writes a state.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn save(&mut self, mut saved: Saved) -> Result<(), ImportError> {
        self.turn += 1;
        saved.turn = self.turn;
        let failed = |error: io::Error| ImportError::State(format!("cannot write {}: {error}", self.path.display()));
        let mut place = serde_json::to_vec(&saved).map_err(|error| failed(error.into()))?;
        let check = hex(&Sha256::digest(&place));
        place.resize(PLACE - CHECK, b' ');
        place.extend_from_slice(&check.as_bytes()[..CHECK - 1]);
        place.push(b'\n');
        let at = HEAD as u64 + self.turn % 2 * PLACE as u64;
        self.file.write_all_at(&place, at).map_err(failed)?;
        if self.synced.elapsed() >= SYNC {
            self.file.sync_data().map_err(failed)?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Removes the file: the import is done.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn remove(self) -> Result<(), ImportError> {
        let removed = std::fs::remove_file(&self.path);
        removed.map_err(|error| ImportError::State(format!("cannot remove {}: {error}", self.path.display())))
    }
}

fn read_place(place: &[u8]) -> Option<Saved> {
    let (content, check) = place.split_at_checked(PLACE - CHECK)?;
    let content = content.trim_ascii_end();
    let is_whole = hex(&Sha256::digest(content))
        .as_bytes()
        .starts_with(check.trim_ascii_end());
    (is_whole && check.len() == CHECK).then(|| serde_json::from_slice(content).ok())?
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
