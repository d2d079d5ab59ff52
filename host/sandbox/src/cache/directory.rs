//! The cache's directory: found or created, and checked.

use super::CacheError;
use cap_std::fs::Dir;
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{DirBuilder, File},
    io,
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

/// True if other users may read the files in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedDirectory(pub bool);

/// The absolute form of `path` without a final `/`, which would make the system follow a link.
pub fn full_name(path: &Path) -> Result<PathBuf, CacheError> {
    if path.as_os_str().is_empty() {
        return Err(CacheError::NoName);
    }
    let absolute = std::path::absolute(path).map_err(|reason| CacheError::Io {
        action: "find",
        path: path.into(),
        reason,
    })?;
    Ok(absolute.components().collect())
}

/// Opens the directory `path`; creates it and its parents if it is missing.
pub fn open_or_create(path: &Path) -> Result<Dir, CacheError> {
    let failed = |action| {
        move |reason| CacheError::Io {
            action,
            path: path.into(),
            reason,
        }
    };
    let open = || open(CWD, path.as_os_str(), OFlags::RDONLY | OFlags::DIRECTORY);
    let opened = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(failed("make"))?;
            open()
        }
        opened => opened,
    };
    let dir = opened.map_err(|reason| {
        if path.is_symlink() {
            CacheError::Link { path: path.into() }
        } else {
            failed("open")(reason)
        }
    })?;
    let dir = Dir::from_std_file(dir);
    check(&dir, path)?;
    Ok(dir)
}

/// Checks that only its owner can change a directory, and that the owner is this user or root.
pub fn check(dir: &Dir, path: &Path) -> Result<SharedDirectory, CacheError> {
    let stat = rustix::fs::fstat(dir).map_err(|error| CacheError::Io {
        action: "check",
        path: path.into(),
        reason: error.into(),
    })?;
    let me = rustix::process::geteuid().as_raw();
    check_mode(path, stat.st_uid, Mode::from_raw_mode(stat.st_mode), me)
}

fn check_mode(path: &Path, owner: u32, mode: Mode, me: u32) -> Result<SharedDirectory, CacheError> {
    if owner != me && owner != 0 {
        return Err(CacheError::WrongOwner {
            path: path.into(),
            owner,
            me,
        });
    }
    // Root may share a cache with all users; other users have no reason to.
    let (allowed, advice) = if owner == 0 {
        (Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH, "go-w")
    } else {
        (Mode::empty(), "700")
    };
    let others = mode & (Mode::RWXG | Mode::RWXO);
    if !(others - allowed).is_empty() {
        return Err(CacheError::OpenToOthers {
            path: path.into(),
            mode: mode.bits() & 0o7777,
            advice,
        });
    }
    Ok(SharedDirectory(!others.is_empty()))
}

/// Opens `name` in `parent`, unless it is a link. A new file has mode 0600.
pub fn open(parent: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    // Non-blocking, because opening a named pipe would otherwise wait for its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // The standard library has no stable name for "is a link".
        Err(Errno::LOOP) => Err(io::Error::other("it is a symbolic link")),
        Err(error) => Err(error.into()),
    }
}

/// The default path of a cache.
pub fn usual(variable: impl Fn(&str) -> Option<OsString>, temporary: &Path) -> PathBuf {
    // The XDG specification has relative paths ignored; one would lie in the workspace.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    cache.map_or_else(
        || temporary.join(format!("pipefold-cache-{}", rustix::process::geteuid().as_raw())),
        |cache| cache.join("pipefold"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn judged(owner: u32, mode: u32, me: u32) -> Result<SharedDirectory, String> {
        check_mode(Path::new("/c"), owner, Mode::from_bits_retain(mode), me).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_of_ones_own_is_for_oneself() {
        assert_eq!(judged(7, 0o40700, 7), Ok(SharedDirectory(false)));
        for mode in [0o701, 0o710, 0o750, 0o702, 0o720, 0o777, 0o1777] {
            let error = judged(7, 0o40000 | mode, 7).unwrap_err();
            assert_eq!(
                error,
                format!(
                    "cache /c: its mode {mode:04o} lets other users in; run `chmod 700 /c`, after checking its files"
                )
            );
        }
    }

    #[test]
    fn roots_may_be_read_by_all_and_written_by_none() {
        for me in [0, 7] {
            assert_eq!(judged(0, 0o755, me), Ok(SharedDirectory(true)));
            assert_eq!(judged(0, 0o700, me), Ok(SharedDirectory(false)));
            for mode in [0o775, 0o757, 0o720, 0o702, 0o1777] {
                assert!(judged(0, mode, me).unwrap_err().contains("`chmod go-w /c`"));
            }
        }
    }

    #[test]
    fn another_users_is_refused_whatever_its_mode() {
        for me in [0, 7] {
            assert_eq!(
                judged(8, 0o700, me).unwrap_err(),
                format!(
                    "cache /c: it belongs to the user with id 8, who could put code there; name a directory of your own (id {me}) or of root's"
                )
            );
        }
    }

    #[test]
    fn the_usual_place_is_the_users_cache_or_else_the_temporary_directory() {
        let with = |set: &'static [(&str, &str)]| {
            usual(
                move |name| {
                    set.iter()
                        .find(|(set, _)| *set == name)
                        .map(|(_, value)| OsString::from(value))
                },
                Path::new("/tmp"),
            )
        };
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]),
            Path::new("/x/pipefold")
        );
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]),
            Path::new("/h/.cache/pipefold")
        );
        let own = format!("/tmp/pipefold-cache-{}", rustix::process::geteuid().as_raw());
        assert_eq!(with(&[("HOME", "")]), Path::new(&own));
    }
}
