//! One process at a time delivers.

use super::files::FileKind;
use super::key::RunKey;
use super::layout::{self, LOCK};
use super::open::Spool;
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
    /// Locks the spool for the delivery of all that waits, if no other process has.
    #[must_use]
    pub fn try_lock(&self) -> LockState {
        let path = Path::new(LOCK);
        let mut answer = self.files.try_lock(path);
        // A link or a directory that someone put there must not keep what waits from being delivered.
        if answer.is_err()
            && self
                .files
                .metadata(path)
                .is_ok_and(|found| found.kind != FileKind::File)
        {
            self.set_aside(path, "is no regular file".into());
            answer = self.files.try_lock(path);
        }
        LockState::from(answer)
    }

    /// Locks one run, so that two processes do not send it at the same time. It keeps no one from recording.
    #[must_use]
    pub fn try_lock_run(&self, key: RunKey) -> LockState {
        self.files.try_lock_dir(&layout::run(key)).into()
    }

    /// Locks the spool for delivery, waiting for other processes until `deadline`; then [`LockState::Busy`].
    #[must_use]
    pub fn lock_until(&self, deadline: Instant) -> LockState {
        wait_until(deadline, || self.try_lock())
    }
}

/// Tries to lock until `deadline`; then [`LockState::Busy`].
pub(crate) fn wait_until(deadline: Instant, try_lock: impl Fn() -> LockState) -> LockState {
    loop {
        let state = try_lock();
        let left = deadline.saturating_duration_since(Instant::now());
        if !matches!(state, LockState::Busy) || left.is_zero() {
            return state;
        }
        std::thread::sleep(NAP.min(left));
    }
}

impl From<io::Result<Option<Box<dyn Any + Send + Sync>>>> for LockState {
    /// Whatever keeps a lock from being had, other than another process, is no reason to leave what waits: upserts repeat harmlessly.
    fn from(answer: io::Result<Option<Box<dyn Any + Send + Sync>>>) -> Self {
        match answer {
            Ok(Some(held)) => Self::Held(DrainLock { _held: held }),
            Ok(None) => Self::Busy,
            Err(error) => {
                tracing::debug!(%error, "the spool cannot be locked");
                Self::Unsupported
            }
        }
    }
}
