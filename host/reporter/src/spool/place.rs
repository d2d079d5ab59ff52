//! The spool's own directory: found or made, and checked to be ours alone.

use super::disk::{open_dir, sync_names};
use super::error::SpoolError;
use super::layout::{ASIDE, DONE, FULL, FULL_FOR_ALL, GOCD, LOCK, OUTLOOK, REJECTED, RUNS};
use crate::kill_points::pass;
use cap_std::fs::Dir;
use rustix::fs::{CWD, Mode};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directory, opened, and what had to be made for it.
pub(super) struct Place {
    pub(super) dir: Dir,
    /// Every directory that was made, the outermost first.
    made: Vec<PathBuf>,
}

/// The full name of `path`, without a final `/`, which would make the system follow a link there.
pub(super) fn full_name(path: &Path) -> Result<PathBuf, SpoolError> {
    if path.as_os_str().is_empty() {
        return Err(SpoolError::NoName);
    }
    let path = std::path::absolute(path).map_err(|e| SpoolError::from_io("find", path, e))?;
    Ok(path.components().collect())
}

/// Opens `path`; makes it first, mode 0700, if it is missing.
pub(super) fn make(path: &Path) -> Result<Place, SpoolError> {
    let mut made = Vec::new();
    let mut found = find(path);
    if let Err(SpoolError::Missing { .. }) = found {
        make_dirs(path, &mut made)?;
        found = find(path);
    }
    let dir = found?;
    tighten(&dir, path)?;
    Ok(Place { dir, made })
}

/// Opens `path`, which must exist, and checks that no one else may change what is in it.
pub(super) fn find(path: &Path) -> Result<Dir, SpoolError> {
    let dir = open_dir(CWD, path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => SpoolError::Missing { path: path.to_owned() },
        io::ErrorKind::NotADirectory if path.is_symlink() => SpoolError::Link { path: path.to_owned() },
        _ => SpoolError::from_io("open", path, e),
    })?;
    let stat = rustix::fs::fstat(&dir).map_err(|e| SpoolError::from_io("look at", path, e.into()))?;
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        return Err(SpoolError::WrongOwner {
            path: path.to_owned(),
            owner: stat.st_uid,
            me,
        });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(SpoolError::WritableByOthers {
            path: path.to_owned(),
            mode: mode.bits() & 0o7777,
        });
    }
    Ok(dir)
}

impl Place {
    /// Makes the directories that lead to the spool survive a crash. Needed once in the life of a spool.
    pub(super) fn sync_parents(&self, path: &Path) -> Result<(), SpoolError> {
        // Where nothing was made, another process may have made it a moment ago and not have come to this yet.
        let names: Vec<&Path> = if self.made.is_empty() {
            path.ancestors().collect()
        } else {
            self.made.iter().map(PathBuf::as_path).collect()
        };
        for parent in names.iter().filter_map(|name| name.parent()) {
            pass("spool.sync_parent");
            // A directory that may be passed but not read cannot be synced, and whoever may not write to it has made nothing in it.
            match File::open(parent).and_then(|dir| sync_names(&dir)) {
                Err(e) if !self.made.is_empty() && e.kind() != io::ErrorKind::PermissionDenied => {
                    return Err(SpoolError::from_io("sync", parent, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn make_dirs(path: &Path, made: &mut Vec<PathBuf>) -> Result<(), SpoolError> {
    pass("spool.make");
    let make = || DirBuilder::new().mode(0o700).create(path);
    let first = match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else {
                return Err(SpoolError::from_io("make", path, e));
            };
            make_dirs(parent, made)?;
            make()
        }
        other => other,
    };
    match first {
        Ok(()) => made.push(path.to_owned()),
        // Another process was quicker, or something else is there: opening it will tell.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(SpoolError::from_io("make", path, e)),
    }
    Ok(())
}

/// Takes from others the right to read, if the directory serves as nothing but a spool: someone may have named their home.
fn tighten(dir: &Dir, path: &Path) -> Result<(), SpoolError> {
    let failed = |e| SpoolError::from_io("look at", path, e);
    let stat = rustix::fs::fstat(dir).map_err(|e| failed(e.into()))?;
    if !Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        return Ok(());
    }
    for entry in dir.entries().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // The last is in every fresh ext volume.
        if ![
            RUNS,
            DONE,
            OUTLOOK,
            REJECTED,
            ASIDE,
            LOCK,
            FULL,
            FULL_FOR_ALL,
            GOCD,
            "lost+found",
        ]
        .iter()
        .any(|ours| name == *ours)
        {
            return Ok(());
        }
    }
    pass("spool.tighten");
    rustix::fs::fchmod(dir, Mode::RWXU).map_err(|e| SpoolError::from_io("chmod 700", path, e.into()))
}
