//! Why a component could not be compiled, kept so that the next process need not try: it would take as long, and fail alike.

use super::{key::Key, place};
use crate::compile::Bound;
use cap_std::fs::Dir;
use rustix::fs::{FileType, Mode, OFlags};
use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Write},
};

/// Says whose file it is, and in which form.
const MARK: &str = "pipefold failure 1";
/// Bytes of the largest file that is looked at: a reason has some kilobytes at most.
const MOST: u64 = 16 << 10;
const DIGEST: usize = blake3::OUT_LEN * 2;

/// A failed compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Hexadecimal sha256 of the component.
    pub(crate) sha256: String,
    /// The bound that it ran out of: who compiles with a wider one tries again.
    pub(crate) bound: Bound,
    /// What went wrong, in words that may quote the component.
    pub(crate) reason: String,
}

impl Failure {
    /// One that is whole and was written for this key.
    pub(super) fn read(dir: &Dir, key: &Key) -> Option<Self> {
        let file = place::open(dir, key.failure_name().as_ref(), OFlags::RDONLY).ok()?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut text = String::new();
        file.take(MOST).read_to_string(&mut text).ok()?;
        let (digest, rest) = text.split_at_checked(DIGEST)?;
        let body = rest.strip_prefix('\n')?;
        if digest != digest_of(key, body) {
            return None;
        }
        let mut lines = body.strip_prefix(MARK)?.strip_prefix('\n')?.splitn(3, '\n');
        Some(Self {
            sha256: lines.next()?.into(),
            bound: parse(lines.next()?)?,
            reason: lines.next()?.into(),
        })
    }

    /// Puts it where it is found, whole or not at all. It need not outlive a crash of the machine.
    pub(super) fn write(&self, dir: &Dir, key: &Key, shared: place::Shared) -> io::Result<()> {
        let Self { sha256, bound, reason } = self;
        let bound = match bound {
            Bound::None => "none 0".to_owned(),
            Bound::Time(milliseconds) => format!("time {milliseconds}"),
            Bound::Memory(bytes) => format!("memory {bytes}"),
        };
        let body = format!("{MARK}\n{sha256}\n{bound}\n{reason}");
        let name = key.aside_name(RandomState::new().build_hasher().finish());
        let write = |mut file: File| {
            if shared.0 {
                rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?;
            }
            file.write_all(format!("{}\n{body}", digest_of(key, &body)).as_bytes())?;
            dir.rename(&name, dir, key.failure_name())
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let written = place::open(dir, name.as_ref(), flags).and_then(write);
        if written.is_err() {
            let _ = dir.remove_file(&name);
        }
        written
    }

    pub(super) fn remove(dir: &Dir, key: &Key) {
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

fn digest_of(key: &Key, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.digest());
    hasher.update(body.as_bytes());
    hasher.finalize().to_hex().to_string()
}
