//! Waiting for the effects of other processes.

use std::time::Duration;

use dx_standin::until;

/// The limit of a wait: longer than anything takes on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds, checking it every few milliseconds.
///
/// # Panics
/// If it does not hold within a minute; the message has `what`.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let held = until(PATIENCE, || holds().then_some(()));
    assert!(held.is_some(), "not within {} s: {what}", PATIENCE.as_secs());
}
