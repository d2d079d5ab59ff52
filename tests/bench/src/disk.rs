//! The file system that the spool lies on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// About what the record of one notification has.
const RECORD: [u8; 400] = [b'x'; 400];

/// The least time to make one file durable, as the spool does it: write, sync, rename, sync of the directory.
///
/// # Errors
/// The times of the disk.
pub(crate) fn write_durably(directory: &Path, number: usize) -> io::Result<()> {
    let aside = directory.join(format!("{number}.new"));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
    file.write_all(&RECORD)?;
    file.sync_all()?;
    std::fs::rename(&aside, directory.join(number.to_string()))?;
    File::open(directory)?.sync_all()
}

/// The kind of file system that `path` is on, such as `ext4`, by proc(5), "/proc/pid/mountinfo".
pub(crate) fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounted = mounts.lines().filter_map(|line| {
        let (fixed, rest) = line.split_once(" - ")?;
        let at = PathBuf::from(fixed.split(' ').nth(4)?);
        let kind = rest.split(' ').next()?;
        path.starts_with(&at)
            .then(|| (at.components().count(), kind.to_owned()))
    });
    // Of two at one place, the later one covers the earlier.
    mounted.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}
