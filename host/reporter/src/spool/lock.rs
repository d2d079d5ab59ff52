//! One process at a time delivers.

use super::error::SpoolError;
use super::files::Kind;
use super::layout::LOCK;
use super::open::Spool;
use rustix::io::Errno;
use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a waiting process sleeps between two looks. A file lock cannot be waited for with a deadline; a look costs some 10 µs, and a
/// delivery, which is what it waits for, takes tens of milliseconds.
const NAP: Duration = Duration::from_millis(5);

/// The right to deliver, held until it is dropped. The system takes it back from a process that dies.
pub struct DrainLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for DrainLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrainLock")
    }
}

/// The answer to an attempt to lock.
#[derive(Debug)]
pub enum LockState {
    /// It is ours until this is dropped.
    Held(DrainLock),
    /// Another process has it.
    Busy,
    /// There are no locks here (some network disks, a disk that is full, read-only or closed to us): deliver without, since upserts repeat
    /// harmlessly.
    Unsupported,
}

impl Spool {
    /// Locks the spool for delivery, if no other process has.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_lock(&self) -> Result<LockState, SpoolError> {
        let path = Path::new(LOCK);
        let mut answer = self.files.try_lock(path);
        // A link or a directory that someone put there must not keep what waits from being delivered.
        if answer.is_err() && self.files.metadata(path).is_ok_and(|found| found.kind != Kind::File) {
            self.set_aside(path, "is no regular file".into());
            answer = self.files.try_lock(path);
        }
        match answer {
            Ok(Some(held)) => Ok(LockState::Held(DrainLock { _held: held })),
            Ok(None) => Ok(LockState::Busy),
            Err(e) if is_unsupported(&e) => Ok(LockState::Unsupported),
            Err(e) => Err(self.failed("lock", path)(e)),
        }
    }

    /// Locks the spool for delivery, waiting for other processes until `deadline`; then [`LockState::Busy`].
    ///
    /// # Errors
    /// As [`Spool::try_lock`].
    pub fn lock_until(&self, deadline: Instant) -> Result<LockState, SpoolError> {
        loop {
            let state = self.try_lock()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !matches!(state, LockState::Busy) || left.is_zero() {
                return Ok(state);
            }
            std::thread::sleep(NAP.min(left));
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, Unsupported};
    matches!(
        error.kind(),
        Unsupported | ReadOnlyFilesystem | StorageFull | QuotaExceeded | PermissionDenied
    ) || matches!(
        Errno::from_io_error(error),
        Some(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_locks_is_told_from_other_trouble() {
        for errno in [
            Errno::NOLCK,
            Errno::NOTSUP,
            Errno::NOSYS,
            Errno::ROFS,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ACCESS,
        ] {
            assert!(is_unsupported(&errno.into()), "{errno}");
        }
        for errno in [Errno::IO, Errno::LOOP, Errno::NOENT] {
            assert!(!is_unsupported(&errno.into()), "{errno}");
        }
    }
}
