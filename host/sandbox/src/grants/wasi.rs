//! The grant `wasi`: the system interface (WASI 0.2) without access to the system, unless an operator grants more.
//!
//! The interface itself is wasmtime's. It has no environment, arguments, files or network; input is empty, output is discarded; the clocks
//! stand still and random bytes are the same in every call, so that a policy gives the same answer to the same question. A wait returns at
//! once with the clock moved on, so that no policy can sleep while a build waits for it.

use super::HasGrants;
use sha2::{Digest, Sha256};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    Deterministic, FsPerms, HostWallClock, WasiCtx, WasiCtxView,
    filesystem::WasiFilesystemCtx,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

/// The packages of WASI that are provided; `http` and others are not.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// Every 0.2 is compatible with the ones before it.
const VERSION: &str = "@0.2.";

/// Random bytes in one request: keys and seeds take some dozens.
const MOST_RANDOM: u64 = 64 << 10;
/// Files, streams and timers that one call may hold at a time; the host keeps some hundreds of bytes for each.
pub const MOST_RESOURCES: usize = 1_000;
/// The path of a policy's directory: relative and absolute paths lead to the same files.
const MOUNT: &str = "/";

/// The access behind the system interface; none by default.
#[derive(Clone, Debug, Default)]
pub struct Wasi {
    /// The grant `clock`: the machine's time. Without it the clocks stand still.
    pub clock: bool,
    /// The grant `random`: the machine's random bytes. Without it they are the same in every call.
    pub random: bool,
    /// The grant `dir`: one directory.
    pub directory: Option<Directory>,
}

/// The access of a policy to its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read, write and delete.
    ReadWrite,
}

/// A directory of the host, opened once; it is a policy's root directory, and the only one.
#[derive(Clone)]
pub struct Directory {
    path: PathBuf,
    access: Access,
    opened: Arc<WasiFilesystemCtx>,
}

/// An error of opening a directory that is to be granted.
#[derive(Debug, thiserror::Error)]
#[error("the directory {} cannot be opened: {reason}", .path.display())]
pub struct DirectoryError {
    path: PathBuf,
    reason: io::Error,
}

impl Directory {
    /// Opens a directory. Another directory that replaces it later is not granted.
    ///
    /// # Errors
    /// The directory does not exist, is not a directory, or may not be opened.
    pub fn open(path: &Path, access: Access) -> Result<Self, DirectoryError> {
        let permissions = match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let failed = |reason| DirectoryError {
            path: path.to_owned(),
            reason,
        };
        // wasmtime's own error has no path and hides the system's.
        path.read_dir().map_err(failed)?;
        let mut context = WasiCtx::builder();
        context
            .preopened_dir(path, MOUNT, permissions)
            .map_err(|error| failed(io::Error::other(format!("{error:#}"))))?;
        Ok(Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            access,
            opened: Arc::new(context.build().filesystem().clone()),
        })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.path.display(), self.access)
    }
}

/// Returns true if an import is part of the provided system interface.
pub fn provides(import: &str) -> bool {
    let interface = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/'));
    interface.is_some_and(|(package, rest)| PACKAGES.contains(&package) && rest.contains(VERSION))
}

/// The grants that would allow an import, with their effect.
pub fn advice(import: &str) -> &'static str {
    match import.split_once('/').map_or(import, |(package, _)| package) {
        "wasi:filesystem" => "grant `wasi` to allow it, which has no files, or `dir`, which has those of one directory",
        "wasi:clocks" => "grant `wasi` to allow it, whose clocks stand still, or `clock`, whose clocks run",
        "wasi:random" => {
            "grant `wasi` to allow it, with the same bytes in every call, or `random`, with unpredictable ones"
        }
        "wasi:sockets" => "grant `wasi` to allow it, which has no network",
        _ => "grant `wasi` to allow it, which has no environment, no arguments, no input and no output",
    }
}

/// Defines the interface.
pub fn link<T: HasGrants>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    link_clock(linker)
}

/// The state of the system interface in one call.
pub struct WasiState {
    context: WasiCtx,
    table: ResourceTable,
    clock: Monotonic,
}

impl WasiState {
    pub fn new(granted: &Wasi) -> Self {
        let mut context = WasiCtx::builder();
        context.allow_tcp(false).allow_udp(false).max_random_size(MOST_RANDOM);
        if !granted.clock {
            context.wall_clock(StoppedClock);
        }
        if !granted.random {
            // The bytes must differ from each other: some guests repeat a request until they do.
            let seed = || Deterministic::new(Sha256::digest("pipefold").to_vec());
            context
                .secure_random(seed())
                .insecure_random(seed())
                .insecure_random_seed(1);
        }
        let mut context = context.build();
        if let Some(directory) = &granted.directory {
            context.filesystem().clone_from(&directory.opened);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self {
            context,
            table,
            clock: Monotonic::new(granted.clock),
        }
    }

    /// The context and its resources, for the engine's own functions.
    pub fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }

    fn clock(&mut self) -> ClockView<'_> {
        ClockView {
            clock: &mut self.clock,
            table: &mut self.table,
        }
    }
}

/// A clock that is moved by waits, and also runs with time if that is granted.
struct Monotonic {
    /// The time when it started to run; `None` if it stands still.
    since: Option<Instant>,
    waited: Duration,
}

impl Monotonic {
    fn new(runs: bool) -> Self {
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

/// The wall clock without the grant: it stands still at the beginning of Unix time.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// The clock of one call, and the table of its timers.
struct ClockView<'a> {
    clock: &'a mut Monotonic,
    table: &'a mut ResourceTable,
}

struct ClockData;

impl HasData for ClockData {
    type Data<'a> = ClockView<'a>;
}

/// Defines `wasi:clocks/monotonic-clock`, in place of wasmtime's, which sleeps.
fn link_clock<T: HasGrants>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<T, ClockData>(linker, |state| state.granted().wasi().clock())?;
    linker.allow_shadowing(false);
    Ok(())
}

impl monotonic_clock::Host for ClockView<'_> {
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

/// A timer that has passed.
struct Passed;

#[wasmtime_wasi::async_trait]
impl Pollable for Passed {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_that_are_there() {
        assert!(provides("wasi:cli/environment@0.2.0"));
        assert!(provides("wasi:io/streams@0.2.12"));
        for other in [
            "wasi:http/types@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:cli",
            "evil:cli/environment@0.2.0",
            "pipefold:ci/log@0.2.0",
        ] {
            assert!(!provides(other), "{other}");
        }
    }

    #[test]
    fn a_wait_moves_the_clock() {
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
