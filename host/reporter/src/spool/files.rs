//! The layer below the spool: the operations on files that it needs, and the real disk.

use crate::kill_points::pass;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

/// The kind of a file. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Other,
}

/// The metadata of a name.
#[derive(Debug, Clone, Copy)]
pub struct Metadata {
    pub kind: FileKind,
    /// The size in bytes.
    pub len: u64,
    pub modified: SystemTime,
    /// The owner's user id.
    pub owner: u32,
}

/// The result of reading a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// The whole content.
    Whole(Vec<u8>),
    /// The file is not one that the spool wrote, for this reason.
    Unusable(String),
}

/// A file that was written and may still be lost.
pub trait NewFile: Send + Sync {
    /// Syncs the file's bytes: they then survive a crash of the machine. Its name may not.
    fn sync(&self) -> io::Result<()>;
}

/// A directory tree. Paths are relative to its root and made of plain names; no part of one is ever followed as a symbolic link, and a
/// link or file where a directory belongs is [`io::ErrorKind::NotADirectory`].
pub trait Files: Send + Sync {
    /// Creates a directory, mode 0700.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Calls `each` with every name in `dir`, in no order.
    fn list(&self, dir: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()>;
    /// Returns every name in `dir`, with its metadata.
    fn list_with_metadata(&self, dir: &Path) -> io::Result<Vec<(OsString, Metadata)>>;
    /// Returns the time of the last change of each of these names in `dir`; none for a name that is gone.
    fn changes_of(&self, dir: &Path, names: &[String]) -> io::Result<Vec<Option<SystemTime>>>;
    /// Returns the metadata of `path`.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// Reads a regular file of the process's own user, of at most `max` bytes.
    fn read(&self, path: &Path, max: u64) -> io::Result<Content>;
    /// Creates a file that does not exist yet, mode 0600.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn NewFile>>;
    /// Renames `from` to `to`, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Syncs the names in `dir`: they then survive a crash of the machine.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Removes a name that is not a directory.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Creates the file if it is missing, and locks it until the result is dropped; none while another process holds it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// Locks a directory until the result is dropped; none while another process holds it.
    fn try_lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}

/// A directory tree on disk.
pub struct Disk {
    root: Dir,
    /// The effective user id of this process: only its files are read.
    me: u32,
    /// True to change nothing.
    read_only: bool,
}

impl Disk {
    pub fn new(root: Dir, read_only: bool) -> Self {
        Self {
            root,
            me: rustix::process::geteuid().as_raw(),
            read_only,
        }
    }

    /// Calls `act` with the directory `dir` opened. It is found by its name each time: a handle that is kept would follow a run that
    /// another process moves to `done/`.
    fn within<T>(&self, dir: &Path, act: impl FnOnce(&Dir) -> io::Result<T>) -> io::Result<T> {
        if let Some(found) = open_at_once(&self.root, dir) {
            return act(&found?);
        }
        let mut opened: Option<Dir> = None;
        for part in dir.components() {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            opened = Some(open_dir(opened.as_ref().unwrap_or(&self.root), Path::new(name))?);
        }
        act(opened.as_ref().unwrap_or(&self.root))
    }

    /// Calls `act` with the directory that `path` is in, opened, and its last name.
    fn at<T>(&self, path: &Path, act: impl FnOnce(&Dir, &OsStr) -> io::Result<T>) -> io::Result<T> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.within(parent, |dir| act(dir, name))
    }

    fn may_change(&self) -> io::Result<()> {
        if self.read_only {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        } else {
            Ok(())
        }
    }
}

/// Opens the directory `path` in `parent`, unless its last name is a link.
pub fn open_dir(parent: impl AsFd, path: &Path) -> io::Result<Dir> {
    open(parent, path, OFlags::RDONLY | OFlags::DIRECTORY).map(Dir::from_std_file)
}

/// Opens a directory below another in one call, where the system can do that without following a link in any part of the name.
#[cfg(target_os = "linux")]
fn open_at_once(root: &Dir, dir: &Path) -> Option<io::Result<Dir>> {
    use rustix::fs::ResolveFlags;
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    // One part takes one call anyway.
    if dir.components().count() < 2 || !dir.components().all(is_plain) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat2(root, dir, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(fd) => Some(Ok(Dir::from_std_file(File::from(fd)))),
        Err(Errno::LOOP) => Some(Err(Errno::NOTDIR.into())),
        // Linux before 5.6, or a filter of system calls without `openat2`.
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_at_once(_: &Dir, _: &Path) -> Option<io::Result<Dir>> {
    None
}

fn open(parent: impl AsFd, name: &Path, flags: OFlags) -> io::Result<File> {
    // Non-blocking, because opening a named pipe would otherwise wait for its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // The standard library has no stable name for "is a link".
        Err(Errno::LOOP) if flags.contains(OFlags::DIRECTORY) => Err(Errno::NOTDIR.into()),
        Err(error) => Err(error.into()),
    }
}

/// Calls `each` with every name in a directory.
fn names(dir: &Dir, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => each(OsStr::from_bytes(name)),
        }
    }
    Ok(())
}

/// Makes the names in `dir` survive a crash.
pub fn sync_names(dir: &File) -> io::Result<()> {
    match dir.sync_all() {
        // Some network and user-space file systems cannot sync a directory: nothing more can be done then.
        Err(e)
            if matches!(
                Errno::from_io_error(&e),
                Some(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_lossless,
    reason = "the fields' types differ by platform"
)]
fn describe(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        _ => FileKind::Other,
    };
    // A time before 1970 is a broken clock's, and counts as 1970.
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime as i64).unwrap_or(0));
    let modified = SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(stat.st_mtime_nsec as u64);
    Metadata {
        kind,
        len: u64::try_from(stat.st_size as i64).unwrap_or(0),
        modified,
        owner: stat.st_uid,
    }
}

fn describe_name(dir: &Dir, name: &OsStr) -> io::Result<Metadata> {
    Ok(describe(&rustix::fs::statat(
        dir,
        Path::new(name),
        AtFlags::SYMLINK_NOFOLLOW,
    )?))
}

struct Written(File);

impl NewFile for Written {
    fn sync(&self) -> io::Result<()> {
        pass("spool.sync");
        self.0.sync_all()
    }
}

fn try_to_lock(file: File) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(Box::new(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

impl Files for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        pass("spool.create_dir");
        self.may_change()?;
        self.at(dir, |parent, name| {
            parent.create_dir_with(name, DirBuilder::new().mode(0o700))
        })
    }

    fn list(&self, dir: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        pass("spool.list");
        self.within(dir, |dir| names(dir, each))
    }

    fn list_with_metadata(&self, dir: &Path) -> io::Result<Vec<(OsString, Metadata)>> {
        pass("spool.list");
        self.within(dir, |dir| {
            let mut found = Vec::new();
            let mut failed = None;
            names(dir, &mut |name| match describe_name(dir, name) {
                Ok(metadata) => found.push((name.to_owned(), metadata)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => failed = Some(e),
            })?;
            failed.map_or(Ok(found), Err)
        })
    }

    fn changes_of(&self, dir: &Path, names: &[String]) -> io::Result<Vec<Option<SystemTime>>> {
        pass("spool.metadata");
        self.within(dir, |dir| {
            let change = |name: &String| match describe_name(dir, OsStr::new(name)) {
                Ok(found) => Ok(Some(found.modified)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e),
            };
            names.iter().map(change).collect()
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        pass("spool.metadata");
        self.at(path, describe_name)
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Content> {
        pass("spool.read");
        let unusable = |why: String| Ok(Content::Unusable(why));
        self.at(path, |dir, name| {
            let file = match open(dir, Path::new(name), OFlags::RDONLY) {
                Ok(file) => file,
                Err(e) => {
                    return match Errno::from_io_error(&e) {
                        Some(Errno::LOOP) => unusable("is a symbolic link".into()),
                        Some(Errno::NXIO) => unusable("is not a regular file".into()),
                        _ => Err(e),
                    };
                }
            };
            let found = describe(&rustix::fs::fstat(&file)?);
            match found.kind {
                FileKind::Directory => return unusable("is a directory".into()),
                FileKind::Other => return unusable("is not a regular file".into()),
                FileKind::File if found.owner != self.me => {
                    return unusable(format!("belongs to the user with id {}", found.owner));
                }
                FileKind::File => {}
            }
            // One byte more, because the file may grow after it was measured.
            let mut bytes = Vec::with_capacity(usize::try_from(found.len.min(max)).unwrap_or(0));
            file.take(max + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > max {
                return unusable(format!("is larger than {max} bytes"));
            }
            Ok(Content::Whole(bytes))
        })
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn NewFile>> {
        pass("spool.create");
        self.may_change()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = self.at(path, |dir, name| open(dir, Path::new(name), flags))?;
        pass("spool.write");
        file.write_all(bytes)?;
        Ok(Box::new(Written(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        pass("spool.rename");
        self.may_change()?;
        let in_place = from.parent() == to.parent();
        self.at(from, |dir, name| match to.file_name() {
            Some(to) if in_place => dir.rename(name, dir, to),
            _ => self.at(to, |to_dir, to| dir.rename(name, to_dir, to)),
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        pass("spool.sync_dir");
        self.within(dir, |dir| sync_names(&dir.try_clone()?.into_std_file()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        pass("spool.remove");
        self.may_change()?;
        self.at(path, |dir, name| dir.remove_file(name))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        pass("spool.remove_dir");
        self.may_change()?;
        self.at(dir, |parent, name| parent.remove_dir(name))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        pass("spool.lock");
        self.may_change()?;
        let file = self.at(path, |dir, name| {
            open(dir, Path::new(name), OFlags::RDWR | OFlags::CREATE)
        })?;
        try_to_lock(file)
    }

    fn try_lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        pass("spool.lock");
        self.within(dir, |dir| try_to_lock(dir.try_clone()?.into_std_file()))
    }
}
