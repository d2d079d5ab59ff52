//! The file that tokens are stored in: adding, listing and revoking them, and its errors.

use super::rights::Access;
use super::secret::{Secret, TokenEntry, TokenName};
use chrono::{DateTime, Utc};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name of the tokens' file in the data directory.
pub const TOKENS_FILE: &str = "tokens.json";

/// The most tokens: each is compared with each token shown, 10 ns apiece.
pub const MAX_TOKENS: usize = 10_000;

/// The largest file that is read: [`MAX_TOKENS`] with a few patterns each.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The lock file for changes, as the tokens' file itself is replaced by each change.
const LOCK_FILE: &str = "tokens.lock";

/// The file that a change is written to, before it takes the place of the tokens' file.
const ASIDE_FILE: &str = "tokens.new";

/// The tokens of one data directory, which must exist and be ours alone: [`data_directory`](crate::store::sqlite::data_directory) checks
/// that. Any number of processes may add and revoke while servers run.
#[derive(Clone, Debug)]
pub struct TokenFile {
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    tokens: Vec<TokenEntry>,
}

impl TokenFile {
    /// The tokens of the data directory `dir`. Nothing is opened yet.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Returns all tokens, by name. An empty list without a file.
    ///
    /// # Errors
    /// [`TokensError::Damaged`], [`TokensError::NotOurs`], [`TokensError::Io`].
    pub fn list(&self) -> Result<Vec<TokenEntry>, TokensError> {
        Ok(self.read()?.0)
    }

    /// Makes a token and stores its hash. The returned secret is the only copy.
    ///
    /// # Errors
    /// [`TokensError::Exists`], [`TokensError::TooMany`], [`TokensError::Random`], and as [`TokenFile::list`].
    pub fn add(&self, name: TokenName, access: Access, now: DateTime<Utc>) -> Result<Secret, TokensError> {
        let secret = Secret::generate().map_err(TokensError::Random)?;
        self.change(|tokens| {
            if tokens.iter().any(|token| token.name == name) {
                return Err(TokensError::Exists(name));
            }
            if tokens.len() >= MAX_TOKENS {
                return Err(TokensError::TooMany(tokens.len()));
            }
            tokens.push(TokenEntry {
                name,
                access,
                created: now,
                sha256: secret.hash(),
            });
            tokens.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(())
        })?;
        Ok(secret)
    }

    /// Forgets a token. Servers that run refuse it from their next request on.
    ///
    /// # Errors
    /// [`TokensError::Unknown`], and as [`TokenFile::list`].
    pub fn revoke(&self, name: &TokenName) -> Result<(), TokensError> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.name != *name);
            if tokens.len() == before {
                return Err(TokensError::Unknown(name.clone()));
            }
            Ok(())
        })
    }

    /// Returns a stamp that differs for each content of the file, at the price of one system call. `None` without a file.
    pub(super) fn stamp(&self) -> Result<Option<Stamp>, TokensError> {
        match std::fs::metadata(self.path()) {
            Ok(found) => Ok(Some(Stamp::of(&found))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("read", TOKENS_FILE)(e)),
        }
    }

    /// Returns all tokens, and the stamp of the content they were read from.
    pub(super) fn read(&self) -> Result<(Vec<TokenEntry>, Option<Stamp>), TokensError> {
        let failed = |e| self.failed("read", TOKENS_FILE)(e);
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
            Err(e) => return Err(failed(e)),
        };
        let found = file.metadata().map_err(failed)?;
        let others = Mode::from_raw_mode(found.mode()).intersects(Mode::WGRP | Mode::WOTH);
        if found.uid() != rustix::process::geteuid().as_raw() || others {
            return Err(TokensError::NotOurs(self.path()));
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        let damaged = |why: String| TokensError::Damaged { path: self.path(), why };
        if text.len() as u64 > MAX_BYTES {
            return Err(damaged(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let content: Content = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        Ok((content.tokens, Some(Stamp::of(&found))))
    }

    fn change(&self, act: impl FnOnce(&mut Vec<TokenEntry>) -> Result<(), TokensError>) -> Result<(), TokensError> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.dir.join(LOCK_FILE))
            .map_err(self.failed("open", LOCK_FILE))?;
        // The wait is short: the holder is done within milliseconds. The lock is released when `lock` is dropped.
        lock.lock().map_err(self.failed("lock", LOCK_FILE))?;
        let (mut tokens, _) = self.read()?;
        act(&mut tokens)?;
        let text = serde_json::to_string_pretty(&Content { tokens })
            .map_err(|e| self.failed("write", TOKENS_FILE)(e.into()))?;
        self.replace(&text).map_err(self.failed("write", TOKENS_FILE))
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let aside = self.dir.join(ASIDE_FILE);
        // Left by a process that died within this function; we hold the lock.
        match std::fs::remove_file(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, self.path())?;
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self) -> PathBuf {
        self.dir.join(TOKENS_FILE)
    }

    fn failed(&self, action: &'static str, name: &str) -> impl FnOnce(io::Error) -> TokensError + use<> {
        let path = self.dir.join(name);
        move |why| TokensError::Io { action, path, why }
    }
}

/// The version of a file. Each change makes a new file, so the inode mostly differs; it may be used again later, by then at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the version of a file, following links; `None` if it is not there.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        Some(Self::of(&std::fs::metadata(path).ok()?))
    }

    fn of(found: &std::fs::Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// An error in reading or changing the tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is a token of that name.
    #[error("there is a token named {0} already: revoke it first, or choose another name")]
    Exists(TokenName),
    /// There is no token of that name.
    #[error("there is no token named {0}: `pipefold token list` shows their names")]
    Unknown(TokenName),
    /// There are as many as there may be.
    #[error("there are {0} tokens, and there may be no more: revoke those that are not used")]
    TooMany(usize),
    /// The file's content is not a list of tokens.
    #[error("{} is not a list of tokens ({why}): restore it, or remove it and make new tokens", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault.
        why: String,
    },
    /// Others could put tokens of their own into the file.
    #[error("{} belongs to another user or may be written to by others, so its tokens cannot be trusted: check them, then `chown` it back and run `chmod 600`", .0.display())]
    NotOurs(PathBuf),
    /// The system refused an action.
    #[error("could not {action} {}: {why}", .path.display())]
    Io {
        /// The action, such as `open`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// The system has no randomness to give.
    #[error("could not make a token: the system gives no random numbers ({0})")]
    Random(getrandom::Error),
}
