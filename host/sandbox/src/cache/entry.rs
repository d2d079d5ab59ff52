//! One entry: compiled code, and behind it a record of what it is.
//!
//! The record stands at the end, so that the file can be mapped as it is. It is written with the code, in one file, so that no crash
//! leaves one without the other.

use super::{PART, key::Key, place};
use cap_std::fs::Dir;
use rustix::fs::{FileType, Mode, OFlags};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::PathBuf,
};

/// Bytes of the largest entry that is looked at: more than the compiler hands out.
const MOST: u64 = 1 << 30;

/// Says whose file it is, and in which form.
const MARK: &[u8; 16] = b"pipefold entry 1";
/// The digest of the key, the sha256 of the component, the length of the code, the mark; then the digest of everything before.
const RECORD: usize = 32 + SHA256 + 8 + MARK.len() + DIGEST;
/// Hexadecimal digits.
const SHA256: usize = 64;
const DIGEST: usize = blake3::OUT_LEN;

/// An entry that was checked: it is what was once compiled for its key. The file stays open, so that it stays the one that was checked.
#[derive(Debug)]
pub(crate) struct Entry {
    file: File,
    /// Bytes of the whole file.
    length: u64,
    digest: blake3::Hash,
    sha256: String,
}

/// Why an entry must not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    /// Its directory is not safe any more.
    #[error("{0}")]
    Place(String),
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is no regular file")]
    Kind,
    #[error("can be written to by others than its owner")]
    Mode,
    #[error("belongs to the user with id {0}")]
    Owner(u32),
    #[error("is cut short, or not what pipefold wrote")]
    Foreign,
    #[error("was made from another component or for another engine")]
    OtherKey,
    #[error("is damaged")]
    Damaged,
    /// wasmtime's words.
    #[error("does not fit this engine: {0}")]
    Refused(String),
}

/// The record of an entry whose code has this length and is what `hasher` has seen.
pub(super) fn record(key: &Key, sha256: &str, length: u64, mut hasher: blake3::Hasher) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD);
    record.extend_from_slice(&key.digest());
    record.extend_from_slice(sha256.as_bytes());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(MARK);
    hasher.update(&record);
    record.extend_from_slice(hasher.finalize().as_bytes());
    record
}

impl Entry {
    /// Opens and checks an entry; none if there is none.
    pub(super) fn open(dir: &Dir, key: &Key) -> Result<Option<Self>, Flaw> {
        match place::open(dir, key.file_name().as_ref(), OFlags::RDONLY) {
            Ok(file) => Self::check(file, key).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn check(mut file: File, key: &Key) -> Result<Self, Flaw> {
        let stat = rustix::fs::fstat(&file).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Flaw::Kind);
        }
        if ![0, rustix::process::geteuid().as_raw()].contains(&stat.st_uid) {
            return Err(Flaw::Owner(stat.st_uid));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(Flaw::Mode);
        }
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let code = length.checked_sub(RECORD as u64).ok_or(Flaw::Foreign)?;
        if length > MOST {
            return Err(Flaw::Foreign);
        }
        let mut record = [0; RECORD];
        file.read_exact_at(&mut record, code)?;
        let (made_from, rest) = record.split_at(32);
        let (sha256, rest) = rest.split_at(SHA256);
        let (recorded, rest) = rest.split_at(8);
        let (mark, recorded_digest) = rest.split_at(MARK.len());
        if mark != MARK || recorded != code.to_le_bytes() {
            return Err(Flaw::Foreign);
        }
        if made_from != key.digest() {
            return Err(Flaw::OtherKey);
        }
        let digest = digest(&mut file, length - DIGEST as u64, |_| {})?;
        if digest.as_bytes() != recorded_digest {
            return Err(Flaw::Damaged);
        }
        Ok(Self {
            file,
            length,
            digest,
            sha256: String::from_utf8_lossy(sha256).into_owned(),
        })
    }

    /// Hexadecimal sha256 of the component that it was made from.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of code.
    pub(crate) fn code_size(&self) -> u64 {
        self.length - RECORD as u64
    }

    /// A path by which this very file can be opened again, if the system has such.
    pub(crate) fn name_of_open_file(&self) -> Option<PathBuf> {
        let name = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let (there, here) = (name.metadata().ok()?, self.file.metadata().ok()?);
        ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(name)
    }

    /// Reads it, for systems where it cannot be mapped.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.file.try_clone()?;
        let found = digest(&mut file, self.length - DIGEST as u64, |part| {
            bytes.extend_from_slice(part)
        })?;
        if found != self.digest {
            return Err(io::Error::other("the entry changed while it was read"));
        }
        Ok(bytes)
    }
}

/// Digests the first `length` bytes of a file, and hands them over.
fn digest(file: &mut File, length: u64, mut part: impl FnMut(&[u8])) -> io::Result<blake3::Hash> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut input = file.take(length);
    let mut buffer = vec![0; PART];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                part(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
