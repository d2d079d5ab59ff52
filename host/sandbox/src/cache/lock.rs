//! Compiling once when several processes want the same component at the same time.

use super::{key::Key, place};
use crate::deadline::Deadline;
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use std::{
    fs::{File, TryLockError},
    thread,
    time::{Duration, Instant},
};

/// How often to look: rarely beside the seconds that compiling takes, and often enough not to be noticed.
const PAUSE: Duration = Duration::from_millis(10);

/// Leave to make an entry. The system takes a lock back when its holder ends, however it ends.
pub(crate) enum Lock {
    /// No other process makes it while this is held.
    Held(#[allow(dead_code, reason = "held until it is dropped")] File),
    /// Someone else has been at it for too long.
    Busy,
    /// Someone else is at it, and the caller's deadline has passed.
    Over,
    /// There are no locks in this place, or nothing can be written there.
    None,
}

impl Lock {
    pub(super) fn take(dir: &Dir, key: &Key, wait: Duration, deadline: &Deadline) -> Self {
        let until = Instant::now() + wait;
        let Ok(file) = place::open(dir, key.lock_name().as_ref(), OFlags::RDWR | OFlags::CREATE) else {
            return Self::None;
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Self::Held(file),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return Self::Busy,
                Err(TryLockError::WouldBlock) => match deadline.pause(PAUSE) {
                    Some(pause) => thread::sleep(pause),
                    None => return Self::Over,
                },
                Err(TryLockError::Error(_)) => return Self::None,
            }
        }
    }
}
