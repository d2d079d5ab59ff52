//! Where compiled code becomes executable: the only unsafe code of the project.
//!
//! wasmtime runs compiled code as it is, so whoever wrote it can do what the host can. Each function here takes what only one other
//! place can make: the code in the binary, what this process had compiled, or an entry of a cache that was checked.

use crate::{cache::Entry, compile::Fresh, embedded::Embedded};
use wasmtime::{Engine, Result, component::Component};

/// The default component, from the binary.
#[allow(unsafe_code)]
pub(crate) fn embedded(engine: &Engine, code: &Embedded) -> Result<Component> {
    // SAFETY: the code was made by wasmtime in this crate's own build script, from this project's own component, and is part of the
    // binary: whoever could change it could change the rest of the program as well. wasmtime checks version and settings.
    unsafe { Component::deserialize(engine, code.bytes()) }
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
