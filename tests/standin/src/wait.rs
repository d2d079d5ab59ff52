//! Waiting for the effects of other processes and threads.

use std::time::{Duration, Instant};

/// Calls `found` until it returns a value, for at most `patience`. Pauses grow with the time waited, so that a long wait costs little.
pub fn until<T>(patience: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];
    let begin = Instant::now();
    loop {
        if let Some(found) = found() {
            return Some(found);
        }
        let waited = begin.elapsed();
        if waited >= patience {
            return None;
        }
        std::thread::sleep((waited / 20).clamp(PAUSES[0], PAUSES[1]));
    }
}
