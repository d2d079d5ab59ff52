//! Keeps a cache from growing for ever.

use super::key::{ASIDE, ENTRY, FAILURE, Key, LOCK, is_ours};
use cap_std::fs::{Dir, MetadataExt};
use std::{
    io,
    time::{Duration, SystemTime},
};

/// Bytes of all entries together: some twenty guests made from Python.
pub(super) const MOST: u64 = 1 << 30;

/// After this time the writer of an entry, or the holder of its lock, is gone: compiling takes a minute at most by default.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// After this time a component that could not be compiled is most likely in use no more. Its file has some hundred bytes.
const FORGOTTEN: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Removes the oldest entries until no more than `most` bytes are left, and what killed processes left behind. `keep` stays.
pub(super) fn prune(dir: &Dir, keep: &Key, most: u64) -> io::Result<()> {
    let now = SystemTime::now();
    let mut entries = Vec::new();
    let mut total = 0;
    for file in dir.entries()? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else {
            continue;
        };
        let metadata = match file.metadata() {
            Ok(metadata) if metadata.is_file() && is_ours(&name) => metadata,
            _ => continue,
        };
        let changed = metadata.modified()?.into_std();
        let stale = now.duration_since(changed).is_ok_and(|age| age > STALE);
        if name.ends_with(ENTRY) {
            total += metadata.size();
            entries.push((changed, metadata.size(), name));
        } else if name.ends_with(FAILURE) {
            if now.duration_since(changed).is_ok_and(|age| age > FORGOTTEN) {
                dir.remove_file(&name)?;
            }
        } else if stale && (name.ends_with(ASIDE) || name.ends_with(LOCK)) {
            dir.remove_file(&name)?;
        }
    }
    entries.sort();
    let kept = keep.file_name();
    for (_, size, name) in entries {
        if total <= most {
            break;
        }
        if name != kept {
            dir.remove_file(&name)?;
            total -= size;
        }
    }
    Ok(())
}
