//! The loading of compiled code: the only unsafe code of the sandbox.
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
    builtin::{self, BUILT_IN_POLICY_SHA256, DEFAULT_COMPONENT_SHA256},
    cache::Entry,
    compile::FreshCode,
    slot::{self, DamagedSlot},
};
use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::{Config, CustomCodeMemory, Engine, Result, component::Component};

/// A slot of this program for a component's code. The build leaves it empty, and [`embed`](crate::embed()) fills it in a finished executable.
///
/// On Linux it is in a section of this program's own code, which the system maps as executable: it runs in place, without a copy, also where
/// a process may not make memory executable. On other systems the code is copied, as not every linker or instruction cache allows this.
pub struct OwnSlot {
    bytes: fn() -> &'static [u8],
    /// True while the code runs in place. wasmtime finds the owner of an address by it, so a second engine in this process gets a copy.
    is_in_use: AtomicBool,
}

const IS_EXECUTABLE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Bytes that begin at a page.
#[repr(C, align(4096))]
struct Pages<const BYTES: usize>([u8; BYTES]);

/// Defines a slot. The compiler must not assume that it is unchanged since the build.
macro_rules! slot {
    ($bytes:expr, $sha256:expr) => {{
        #[allow(unsafe_code)]
        #[used]
        #[cfg_attr(
            all(target_os = "linux", target_arch = "x86_64"),
            unsafe(link_section = ".text.pipefold")
        )]
        static PAGES: Pages<{ $bytes }> = Pages(slot::empty($sha256));
        OwnSlot {
            bytes: || &black_box(&PAGES).0,
            is_in_use: AtomicBool::new(false),
        }
    }};
}

/// Bytes of a slot. The code of a library checks for itself and takes two thirds more than that of a program, which takes signals.
const fn room(of_a_program: usize, of_a_library: usize) -> usize {
    if cfg!(feature = "library") {
        of_a_library
    } else {
        of_a_program
    }
}

/// The default component's slot. The code has 340 or 553 KB for x86_64, and other targets' takes up to a third more.
pub static OF_DEFAULT: OwnSlot = slot!(room(512 << 10, 768 << 10), DEFAULT_COMPONENT_SHA256);
/// The slot of the built-in policy. The code has 642 KB or 1.0 MB for x86_64, and other targets' takes up to a third more.
pub static OF_POLICY: OwnSlot = slot!(room(896 << 10, 1472 << 10), BUILT_IN_POLICY_SHA256);
/// The slot of the built-in sources, which no library has. The code for thirteen systems has 795 KB for x86_64, and other targets' takes up to
/// a third more.
#[cfg(feature = "sources")]
pub static OF_SOURCES: OwnSlot = slot!(1088 << 10, builtin::SOURCES_SHA256);

/// Compiled code from this program's own slot, with the right digest. No other value of this type exists.
pub struct SlotCode {
    code: &'static [u8],
    slot: &'static OwnSlot,
}

impl OwnSlot {
    /// The slot itself.
    pub fn bytes(&self) -> &'static [u8] {
        (self.bytes)()
    }

    /// The code in it, if it was filled.
    pub fn code(&'static self) -> Result<Option<SlotCode>, DamagedSlot> {
        let code = slot::code(self.bytes())?;
        Ok(code.map(|code| SlotCode { code, slot: self }))
    }
}

/// Loads a component from the executable.
#[allow(unsafe_code)]
pub fn embedded(engine: &Engine, code: &SlotCode) -> Result<Component> {
    // SAFETY: `SlotCode` is a part of the running executable that has the digest which was written with it. `embed` put both there, with
    // wasmtime's output for this project's own component; and who can write to the executable could change the rest of the program as
    // well. It is there and unchanged for as long as the process. wasmtime checks version and settings.
    unsafe {
        match IS_EXECUTABLE && !code.slot.is_in_use.swap(true, Relaxed) {
            true => Component::deserialize_raw(engine, code.code.into()),
            false => Component::deserialize(engine, code.code),
        }
    }
}

/// Configures an engine to run the embedded code in place.
pub fn in_place(config: &mut Config) {
    if IS_EXECUTABLE {
        config.with_custom_code_memory(Some(Arc::new(InPlace)));
    }
}

/// Makes code executable, except embedded code, which is executable already.
struct InPlace;

impl InPlace {
    /// Makes memory executable, which wasmtime has made read-only before and unmaps later.
    #[allow(unsafe_code)]
    fn publish(code: *const u8, length: usize) -> Result<()> {
        if builtin::all().any(|builtin| builtin.slot.bytes().as_ptr_range().contains(&code)) {
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

/// Loads code that was compiled just now for this process.
#[allow(unsafe_code)]
pub fn fresh(engine: &Engine, code: &FreshCode) -> Result<Component> {
    // SAFETY: `FreshCode` is made only of the output of wasmtime's compiler, in this process or in a child that this process started: the
    // child's program is the operator's choice as this program is, it got nothing but the component, and its answer came through a pipe
    // that no one else holds, with a digest. wasmtime checks version and settings.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

/// Loads an entry of a cache: mapped from its file if the system can name an open file, else read.
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
