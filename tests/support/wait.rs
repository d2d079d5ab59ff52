//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// Long enough for anything to happen on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds, looking every few milliseconds.
///
/// # Panics
/// If it does not within half a minute; `what` is said then.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}
