//! The engine that all plugins of a sandbox share, and the watchdog that stops calls.
//!
//! Compiled code checks the engine's epoch at every loop and call. The watchdog's thread raises the epoch every few milliseconds, but only
//! while a call is under way; each store then compares the time with its own deadline. Raising the epoch just once at a deadline would
//! not do: a late raise would stop the next call early.

use crate::limits::Limits;
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};
use wasmtime::Engine;

/// The engine with its watchdog and limits, shared by the plugins of a sandbox.
pub struct Core {
    pub engine: Engine,
    pub watchdog: Watchdog,
    pub limits: Limits,
}

/// The longest delay of stopping a call. Short compared with the limits (hundreds of milliseconds), long compared with a wake-up.
const TICK: Duration = Duration::from_millis(4);

/// The watchdog of one engine. Its thread starts with the first call and ends when this is dropped.
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Calls>,
    changed: Condvar,
    engine: Engine,
}

#[derive(Default)]
struct Calls {
    running: usize,
    started: bool,
    /// True while the thread sleeps until a call wakes it; otherwise it wakes after its tick.
    asleep: bool,
    closed: bool,
}

/// A call under way: while one lives, the epoch advances.
pub struct Watch<'a>(&'a Watchdog);

impl Watchdog {
    pub fn new(engine: &Engine) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            engine: engine.clone(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Raises the epoch until the returned guard is dropped.
    ///
    /// # Errors
    /// The system has no thread to spare: a call that nothing can stop must not begin.
    pub fn watch(&self) -> std::io::Result<Watch<'_>> {
        let mut state = self.shared.lock();
        if !state.started {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name("pipefold-watchdog".into())
                // The thread only waits and adds one: the smallest stack that systems allow is ample.
                .stack_size(64 << 10)
                .spawn(move || shared.tick())?;
            state.started = true;
        }
        state.running += 1;
        if state.asleep {
            self.shared.changed.notify_one();
        }
        Ok(Watch(self))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.shared.lock().running -= 1;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Calls> {
        // The counters are valid at every moment: a panic elsewhere does not damage them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut state = self.lock();
        while !state.closed {
            if state.running == 0 {
                state.asleep = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
            } else {
                state = self
                    .changed
                    .wait_timeout(state, TICK)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                self.engine.increment_epoch();
            }
        }
    }
}
