//! Reading one of git's files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// The file's content, if it is a regular file of at most `most` bytes; a part of one would be something else than it says.
pub(super) fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let file = open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// The first line of a small text file, such as HEAD.
pub(super) fn line(path: &Path) -> Option<String> {
    // As long as the longest path that Linux takes, which a file `gitdir` may hold.
    let bytes = read(path, 4096)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    text.lines().next().map(|line| line.trim_end().to_owned())
}

/// Without waiting for a writer, should the path be a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
