//! Options of the linker for the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os != "linux" {
        return;
    }
    // The first digit is the number of the interface, `PIPEFOLD_ABI`.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpipefold.so.1");
    // Threads and destructors of thread-local data may outlive `dlclose`: the code stays.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // All symbols are there, or the library does not load: none is missed in the midst of a call.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs,-z,now,-z,relro");
}
