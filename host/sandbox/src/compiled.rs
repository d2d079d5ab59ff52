//! Where compiled code becomes executable: the only unsafe code of the project.
//!
//! wasmtime runs compiled code as it is, so whoever wrote it can do what the host can. Each function here takes what only one other
//! place can make: the code in the binary, what this process had compiled, or an entry of a cache that was checked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{cache::Entry, compile::Fresh};
use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::{Config, CustomCodeMemory, Engine, Result, component::Component};

/// The default component's compiled code: an ELF file for the target's baseline CPU.
///
/// On Linux it lies among this program's own code, which the system has mapped as executable: it is run where it is, without a copy, and also
/// where a process may not make memory executable. Elsewhere a copy is what every linker and every cache of instructions takes.
#[allow(unsafe_code)]
#[cfg_attr(
    all(target_os = "linux", target_arch = "x86_64"),
    unsafe(link_section = ".text.pipefold")
)]
static EMBEDDED: Pages<{ BYTES.len() }> = Pages(*BYTES);
const BYTES: &[u8; include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm")).len()] =
    include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm"));
const IS_EXECUTABLE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Whether the code is in use where it lies. wasmtime finds the owner of an address by it, so a second user in this process gets a copy.
static IS_IN_USE: AtomicBool = AtomicBool::new(false);

/// Bytes from the beginning of a page on.
#[repr(C, align(4096))]
struct Pages<const N: usize>([u8; N]);

/// The code as it is embedded.
pub(crate) fn bytes() -> &'static [u8] {
    &EMBEDDED.0
}

/// The default component, from the binary.
#[allow(unsafe_code)]
pub(crate) fn embedded(engine: &Engine) -> Result<Component> {
    // SAFETY: the code was made by wasmtime in this crate's own build script, from this project's own component, and is part of the
    // binary: whoever could change it could change the rest of the program as well. It is there and unchanged for as long as the process.
    // wasmtime checks version and settings.
    unsafe {
        match IS_EXECUTABLE && !IS_IN_USE.swap(true, Relaxed) {
            true => Component::deserialize_raw(engine, bytes().into()),
            false => Component::deserialize(engine, bytes()),
        }
    }
}

/// Has an engine use the embedded code where it is.
pub(crate) fn in_place(config: &mut Config) {
    if IS_EXECUTABLE {
        config.with_custom_code_memory(Some(Arc::new(InPlace)));
    }
}

/// Makes code executable, but for the embedded code, which is.
struct InPlace;

impl InPlace {
    /// wasmtime has made the memory read-only before, and unmaps it next.
    #[allow(unsafe_code)]
    fn publish(code: *const u8, length: usize) -> Result<()> {
        if bytes().as_ptr_range().contains(&code) {
            return Ok(());
        }
        let access = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: wasmtime asks for whole pages of its own, which hold nothing but code that one of the functions here was given.
        unsafe { mprotect(code.cast_mut().cast(), length, access)? };
        Ok(())
    }
}

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        align_of::<Pages<0>>()
    }

    fn publish_executable(&self, code: *const u8, length: usize) -> Result<()> {
        Self::publish(code, length)
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> Result<()> {
        Ok(())
    }
}

/// Code that was compiled a moment ago for this process.
#[allow(unsafe_code)]
pub(crate) fn fresh(engine: &Engine, code: &Fresh) -> Result<Component> {
    // SAFETY: `Fresh` is made only of what wasmtime's compiler put out, in this process or in a child that this process started: the
    // child's program is the operator's choice as this program is, it got nothing but the component, and its answer came through a pipe
    // that no one else holds, with a digest. wasmtime checks version and settings.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

/// An entry of a cache, mapped from its file where the system can name an open file, and read otherwise.
#[allow(unsafe_code)]
pub(crate) fn entry(engine: &Engine, entry: &Entry) -> Result<Component> {
    if let Some(name) = entry.name_of_open_file() {
        // SAFETY: `Entry` is an open file in a directory that nobody but this user or root can write to, is itself written by one of
        // them, and has the digest that was recorded when its code was compiled. The name leads to that open file, whatever has become
        // of its path, and entries are replaced and never written to. wasmtime checks version and settings.
        return unsafe { Component::deserialize_file(engine, name) };
    }
    let bytes = entry.read()?;
    // SAFETY: as above; and the bytes were compared with the digest once more when they were read.
    unsafe { Component::deserialize(engine, bytes) }
}
