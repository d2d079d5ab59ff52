//! The engine's settings, for compiling and for running.
//!
//! wasmtime records the settings in what it compiles and refuses to load it under others, so both sides must call this one function.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wasmtime::{Config, WasmBacktraceDetails};

/// The way in which compiled code stops at a fault of its own, such as an access beyond its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traps {
    /// It runs into a signal, which wasmtime's handlers take. The code is smaller and faster.
    Signals,
    /// It checks for itself. For a library in a process whose signals are not its own.
    Checks,
}

/// True in a process with [`Traps::Checks`].
static CHECKS: AtomicBool = AtomicBool::new(false);

/// Makes all sandboxes of this process do without signal handlers, which belong to the whole process. To be called before the first one is
/// made. The code of components is two thirds larger, other entries of a cache have it, and only [`Compiler::Here`](crate::Compiler::Here)
/// compiles it.
pub fn leave_signals_alone() {
    static MARKED: [u8; 32] = MARK;
    black_box(&MARKED);
    CHECKS.store(true, Relaxed);
}

/// The mark of a program that calls [`leave_signals_alone`]: others do not have these bytes, as nothing else in them has the mark this way around.
const MARK: [u8; 32] = *b"pipefold: traps by checks here\r\n";

/// The way of a finished program, by its bytes.
#[must_use]
pub fn traps_of(executable: &[u8]) -> Traps {
    const BACKWARDS: [u8; 32] = {
        let (mut backwards, mut at) = ([0; 32], 0);
        while at < 32 {
            backwards[at] = MARK[31 - at];
            at += 1;
        }
        backwards
    };
    let mut mark = black_box(BACKWARDS);
    mark.reverse();
    match memchr::memmem::find(executable, &mark) {
        Some(_) => Traps::Checks,
        None => Traps::Signals,
    }
}

impl Traps {
    /// The way in this process.
    pub fn of_process() -> Self {
        if CHECKS.load(Relaxed) {
            Self::Checks
        } else {
            Self::Signals
        }
    }
}

/// Settings of every engine of pipefold, without a compilation target.
#[must_use]
pub fn engine_config(traps: Traps) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // Without signals it also does without Cranelift's mitigation of Spectre in memory accesses, which is made of them.
        .signals_based_traps(traps == Traps::Signals)
        // wasmtime reserves 4 GiB of address space a memory by default, which fails at the first instance under `ulimit -v`.
        // This is the most memory that a plugin gets by default, so growth up to it never moves the memory.
        .memory_reservation(64 << 20)
        .memory_guard_size(64 << 10)
        .memory_reservation_for_growth(16 << 20)
        // Calls are synchronous: the bookkeeping of concurrent ones would only cost.
        .concurrency_support(false)
        // The plugin's data is a few kilobytes: copying it is cheaper than a memory-mapped image for the few calls of a process.
        .memory_init_cow(false)
        // An error names the plugin, the hook and the trap; addresses in foreign code do not help readers of a build log.
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .native_unwind_info(false)
        .generate_address_map(false);
    #[cfg(feature = "compiler")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    config
}
