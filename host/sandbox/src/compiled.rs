//! Where compiled code becomes executable: the only unsafe code of the project.
//!
//! wasmtime runs compiled code as it is, so its author can do what the host can. Each function here takes what only one other
//! place can make: the code in the executable, what this process had compiled, or an entry of a cache that was checked.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{
    cache::Entry,
    compile::FreshCode,
    slot::{self, DamagedSlot},
};
use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::{Config, CustomCodeMemory, Engine, Result, component::Component};

/// The place for the default component's code. The build leaves it empty, and [`embed`](crate::embed()) fills it in a finished executable.
///
/// On Linux it lies among this program's own code, which the system has mapped as executable: it is run where it is, without a copy, and also
/// where a process may not make memory executable. Elsewhere a copy is what every linker and every cache of instructions takes.
#[allow(unsafe_code)]
#[used]
#[cfg_attr(
    all(target_os = "linux", target_arch = "x86_64"),
    unsafe(link_section = ".text.pipefold")
)]
static SLOT: Pages = Pages(slot::empty());
const IS_EXECUTABLE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Whether the code is in use where it lies. wasmtime finds the owner of an address by it, so a second user in this process gets a copy.
static IS_IN_USE: AtomicBool = AtomicBool::new(false);

/// Bytes from the beginning of a page on.
#[repr(C, align(4096))]
struct Pages([u8; slot::SIZE]);

/// This program's own slot. The compiler must not assume that it is as it was built.
pub fn own_slot() -> &'static [u8; slot::SIZE] {
    &black_box(&SLOT).0
}

/// Compiled code from this program's own slot, with the right digest. There is no other value of this type.
pub struct SlotCode(&'static [u8]);

/// The code in this program's own slot, if it was filled.
pub fn embedded_code() -> Result<Option<SlotCode>, DamagedSlot> {
    Ok(slot::code(own_slot())?.map(SlotCode))
}

/// The default component, from the executable.
#[allow(unsafe_code)]
pub fn embedded(engine: &Engine, code: &SlotCode) -> Result<Component> {
    // SAFETY: `Embedded` is a part of the running executable that has the digest which was written with it. `embed` put both there, with
    // what wasmtime made of this project's own component; and who can write to the executable could change the rest of the program as
    // well. It is there and unchanged for as long as the process. wasmtime checks version and settings.
    unsafe {
        match IS_EXECUTABLE && !IS_IN_USE.swap(true, Relaxed) {
            true => Component::deserialize_raw(engine, code.0.into()),
            false => Component::deserialize(engine, code.0),
        }
    }
}

/// Has an engine use the embedded code where it is.
pub fn in_place(config: &mut Config) {
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
        if own_slot().as_ptr_range().contains(&code) {
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
        align_of::<Pages>()
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
pub fn fresh(engine: &Engine, code: &FreshCode) -> Result<Component> {
    // SAFETY: `Fresh` is made only of what wasmtime's compiler put out, in this process or in a child that this process started: the
    // child's program is the operator's choice as this program is, it got nothing but the component, and its answer came through a pipe
    // that no one else holds, with a digest. wasmtime checks version and settings.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

/// An entry of a cache, mapped from its file where the system can name an open file, and read otherwise.
#[allow(unsafe_code)]
pub fn entry(engine: &Engine, entry: &Entry) -> Result<Component> {
    if let Some(name) = entry.name_of_open_file() {
        // SAFETY: `Entry` is an open file in a directory that only this user or root can write to, is itself written by one of
        // them, and has the digest that was recorded when its code was compiled. The name leads to that open file, whatever has become
        // of its path, and entries are replaced and never written to. wasmtime checks version and settings.
        return unsafe { Component::deserialize_file(engine, name) };
    }
    let bytes = entry.read()?;
    // SAFETY: as above; and the bytes were compared with the digest once more when they were read.
    unsafe { Component::deserialize(engine, bytes) }
}
