//! The engine's settings, for compiling and for running.
//!
//! wasmtime records the settings in what it compiles and refuses to load it under others, so both sides must call this one function.

use wasmtime::{Config, WasmBacktraceDetails};

/// Settings of every engine of pipefold, without a compilation target.
#[must_use]
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
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
