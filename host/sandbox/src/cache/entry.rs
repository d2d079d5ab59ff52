//! One entry: compiled code with a record of its origin, or the failure to compile it.
//!
//! The record follows the code, so that the file can be mapped in place. Both are in one file, so that no crash leaves one without the other.

use super::{PART, directory, names::CacheKey};
use crate::compile::Bound;
use cap_std::fs::Dir;
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::PathBuf,
};

/// Bytes of the largest entry that is read: more than the compiler returns.
const MOST_ENTRY: u64 = 1 << 30;

/// The mark of an entry of this form.
const MARK: &[u8; 16] = b"pipefold entry 1";
/// The digest of the key, the sha256 of the component, the length of the code, the mark; then the digest of everything before.
const RECORD: usize = 32 + SHA256 + 8 + MARK.len() + DIGEST;
/// Hexadecimal digits.
const SHA256: usize = 64;
const DIGEST: usize = blake3::OUT_LEN;

/// An entry that was checked: its code was compiled for its key. The file stays open, so that it remains the checked one.
#[derive(Debug)]
pub struct Entry {
    file: File,
    /// Bytes of the whole file.
    length: u64,
    digest: blake3::Hash,
    sha256: String,
}

/// A fault of an entry, which must not be used.
#[derive(Debug, thiserror::Error)]
pub enum EntryFlaw {
    /// The directory is not safe any more.
    #[error("{0}")]
    Place(String),
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is not a regular file")]
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
    /// wasmtime refuses the code, with its message.
    #[error("does not fit this engine: {0}")]
    Refused(String),
}

/// The record of an entry whose code has `length` bytes, which `hasher` has digested.
pub fn record(key: &CacheKey, sha256: &str, length: u64, mut hasher: blake3::Hasher) -> Vec<u8> {
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
    /// Opens and checks an entry; `None` if it does not exist.
    pub fn open(dir: &Dir, key: &CacheKey) -> Result<Option<Self>, EntryFlaw> {
        match directory::open(dir, key.file_name().as_ref(), OFlags::RDONLY) {
            Ok(file) => Self::check(file, key).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn check(mut file: File, key: &CacheKey) -> Result<Self, EntryFlaw> {
        let stat = rustix::fs::fstat(&file).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(EntryFlaw::Kind);
        }
        if ![0, rustix::process::geteuid().as_raw()].contains(&stat.st_uid) {
            return Err(EntryFlaw::Owner(stat.st_uid));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(EntryFlaw::Mode);
        }
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let code = length.checked_sub(RECORD as u64).ok_or(EntryFlaw::Foreign)?;
        if length > MOST_ENTRY {
            return Err(EntryFlaw::Foreign);
        }
        let mut record = [0; RECORD];
        file.read_exact_at(&mut record, code)?;
        let (made_from, rest) = record.split_at(32);
        let (sha256, rest) = rest.split_at(SHA256);
        let (recorded, rest) = rest.split_at(8);
        let (mark, recorded_digest) = rest.split_at(MARK.len());
        if mark != MARK || recorded != code.to_le_bytes() {
            return Err(EntryFlaw::Foreign);
        }
        if made_from != key.digest() {
            return Err(EntryFlaw::OtherKey);
        }
        let digest = digest(&mut file, length - DIGEST as u64, |_| {})?;
        if digest.as_bytes() != recorded_digest {
            return Err(EntryFlaw::Damaged);
        }
        Ok(Self {
            file,
            length,
            digest,
            sha256: String::from_utf8_lossy(sha256).into_owned(),
        })
    }

    /// Hexadecimal sha256 of its component.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of code.
    pub fn code_size(&self) -> u64 {
        self.length - RECORD as u64
    }

    /// A path that opens this open file again, if the system has such paths.
    pub fn name_of_open_file(&self) -> Option<PathBuf> {
        let name = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let (there, here) = (name.metadata().ok()?, self.file.metadata().ok()?);
        ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(name)
    }

    /// Reads the entry, for systems where it cannot be mapped.
    pub fn read(&self) -> io::Result<Vec<u8>> {
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

/// Digests the first `length` bytes of a file, and passes them to `part`.
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

/// An entry that is being written to another name. Dropping it before [`NewEntry::finish`] removes it.
pub struct NewEntry<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
    hasher: blake3::Hasher,
    length: u64,
    finished: bool,
}

impl<'a> NewEntry<'a> {
    /// Begins an entry, which other users may read if the directory is shared.
    pub fn new(dir: &'a Dir, key: &CacheKey, shared: directory::SharedDirectory) -> io::Result<Self> {
        // A unique name: processes of several containers may have the same id.
        let name = key.aside_name(RandomState::new().build_hasher().finish());
        let file = directory::open(dir, name.as_ref(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let aside = Self {
            dir,
            name,
            file,
            hasher: blake3::Hasher::new(),
            length: 0,
            finished: false,
        };
        if shared.0 {
            let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
            rustix::fs::fchmod(&aside.file, mode)?;
        }
        Ok(aside)
    }

    /// Syncs the entry to disk, and renames it to its final name.
    pub fn finish(mut self, key: &CacheKey, sha256: &str) -> io::Result<()> {
        let record = record(key, sha256, self.length, self.hasher.clone());
        self.file.write_all(&record)?;
        self.file.sync_all()?;
        self.dir.rename(&self.name, self.dir, key.file_name())?;
        self.finished = true;
        match self.dir.try_clone()?.into_std_file().sync_all() {
            // Some file systems cannot sync a directory; a lost entry is compiled again.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }
}

impl Write for NewEntry<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewEntry<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.dir.remove_file(&self.name);
        }
    }
}

/// The mark of a failure of this form.
const FAILURE_MARK: &str = "pipefold failure 1";
/// Bytes of the largest failure that is read: a reason has some kilobytes at most.
const MOST_FAILURE: u64 = 16 << 10;
const FAILURE_DIGEST: usize = blake3::OUT_LEN * 2;

/// A failed compilation, stored so that the next process need not repeat it: it would take as long, and fail alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Hexadecimal sha256 of the component.
    pub sha256: String,
    /// The bound that it exceeded: a compiler with a wider one tries again.
    pub bound: Bound,
    /// The error, which may quote the component.
    pub reason: String,
}

impl Failure {
    /// Reads a failure that is whole and was written for this key.
    pub fn read(dir: &Dir, key: &CacheKey) -> Option<Self> {
        let file = directory::open(dir, key.failure_name().as_ref(), OFlags::RDONLY).ok()?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut text = String::new();
        file.take(MOST_FAILURE).read_to_string(&mut text).ok()?;
        let (digest, rest) = text.split_at_checked(FAILURE_DIGEST)?;
        let body = rest.strip_prefix('\n')?;
        if digest != digest_of(key, body) {
            return None;
        }
        let mut lines = body.strip_prefix(FAILURE_MARK)?.strip_prefix('\n')?.splitn(3, '\n');
        Some(Self {
            sha256: lines.next()?.into(),
            bound: parse(lines.next()?)?,
            reason: lines.next()?.into(),
        })
    }

    /// Writes the failure to another name and renames it. It need not survive a crash of the machine.
    pub fn write(&self, dir: &Dir, key: &CacheKey, shared: directory::SharedDirectory) -> io::Result<()> {
        let Self { sha256, bound, reason } = self;
        let bound = match bound {
            Bound::None => "none 0".to_owned(),
            Bound::Time(milliseconds) => format!("time {milliseconds}"),
            Bound::Memory(bytes) => format!("memory {bytes}"),
        };
        let body = format!("{FAILURE_MARK}\n{sha256}\n{bound}\n{reason}");
        let name = key.aside_name(RandomState::new().build_hasher().finish());
        let write = |mut file: File| {
            if shared.0 {
                rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?;
            }
            file.write_all(format!("{}\n{body}", digest_of(key, &body)).as_bytes())?;
            dir.rename(&name, dir, key.failure_name())
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let written = directory::open(dir, name.as_ref(), flags).and_then(write);
        if written.is_err() {
            let _ = dir.remove_file(&name);
        }
        written
    }

    pub fn remove(dir: &Dir, key: &CacheKey) {
        let _ = dir.remove_file(key.failure_name());
    }
}

fn parse(bound: &str) -> Option<Bound> {
    let (kind, number) = bound.split_once(' ')?;
    let number = number.parse().ok()?;
    match kind {
        "none" => Some(Bound::None),
        "time" => Some(Bound::Time(number)),
        "memory" => Some(Bound::Memory(number)),
        _ => None,
    }
}

fn digest_of(key: &CacheKey, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.digest());
    hasher.update(body.as_bytes());
    hasher.finalize().to_hex().to_string()
}
