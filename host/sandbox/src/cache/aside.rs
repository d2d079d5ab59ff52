//! An entry that is being written, beside the ones that are in use.

use super::{entry, key::Key, place};
use cap_std::fs::Dir;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
};

/// What was written so far. Dropped before it is finished, it is removed.
pub(crate) struct Aside<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
    hasher: blake3::Hasher,
    length: u64,
    finished: bool,
}

impl<'a> Aside<'a> {
    /// Begins an entry, which others may read if they may read its directory.
    pub(super) fn new(dir: &'a Dir, key: &Key, shared: place::Shared) -> io::Result<Self> {
        // A unique name: processes of several containers may have the same id.
        let name = key.aside_name(RandomState::new().build_hasher().finish());
        let file = place::open(dir, name.as_ref(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
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

    /// Puts the entry where it is found, whole and on disk.
    pub(crate) fn finish(mut self, key: &Key, sha256: &str) -> io::Result<()> {
        let record = entry::record(key, sha256, self.length, self.hasher.clone());
        self.file.write_all(&record)?;
        self.file.sync_all()?;
        self.dir.rename(&self.name, self.dir, key.file_name())?;
        self.finished = true;
        match self.dir.try_clone()?.into_std_file().sync_all() {
            // Some file systems cannot sync a directory; the entry would be made again.
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

impl Write for Aside<'_> {
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

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.dir.remove_file(&self.name);
        }
    }
}
