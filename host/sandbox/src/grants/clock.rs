//! The clocks of the system interface. A wait returns at once with the clock moved on, so no policy can sleep while a
//! build waits for it.

use crate::call::State;
use std::time::{Duration, Instant};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    HostWallClock,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

/// A clock that runs by what is waited for, and beside that as time does if it is granted.
pub(super) struct Monotonic {
    /// When it began to run; none for one that stands.
    since: Option<Instant>,
    waited: Duration,
}

impl Monotonic {
    pub(super) fn new(runs: bool) -> Self {
        Self {
            since: runs.then(Instant::now),
            waited: Duration::ZERO,
        }
    }

    fn now(&self) -> u64 {
        let now = self
            .waited
            .saturating_add(self.since.map_or(Duration::ZERO, |since| since.elapsed()));
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait(&mut self, nanoseconds: u64) {
        self.waited = self.waited.saturating_add(Duration::from_nanos(nanoseconds));
    }
}

/// The wall clock where none is granted: it stands at the beginning of Unix time.
pub(super) struct Standing;

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// The clock of one call, and the table for what is waited for.
pub(super) struct View<'a> {
    pub(super) clock: &'a mut Monotonic,
    pub(super) table: &'a mut ResourceTable,
}

struct Clock;

impl HasData for Clock {
    type Data<'a> = View<'a>;
}

/// Defines `wasi:clocks/monotonic-clock`, in place of one that sleeps.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, Clock>(linker, |state| state.wasi().clock())?;
    linker.allow_shadowing(false);
    Ok(())
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_duration(when.saturating_sub(self.clock.now()))
    }

    fn subscribe_duration(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock.wait(nanoseconds);
        let passed = self.table.push(Passed)?;
        subscribe(self.table, passed)
    }
}

/// A moment that has passed.
struct Passed;

#[wasmtime_wasi::async_trait]
impl Pollable for Passed {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_finds_that_time_has_passed() {
        let mut standing = Monotonic::new(false);
        assert_eq!(standing.now(), 0);
        standing.wait(3_600_000_000_000);
        assert_eq!(standing.now(), 3_600_000_000_000);
        standing.wait(u64::MAX);
        standing.wait(u64::MAX);
        assert_eq!(standing.now(), u64::MAX);
        let mut running = Monotonic::new(true);
        running.wait(1_000_000_000);
        assert!(running.now() >= 1_000_000_000);
    }
}
