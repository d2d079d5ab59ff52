//! Compiles the built-in components into an executable, ahead of its first start.

use crate::{
    builtin::{self, Builtin, DEFAULT, POLICY},
    compile::code_for,
    engine_config::{Traps, engine_config, traps_of},
    slot,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use wasmtime::Engine;

/// Bytes of the largest executable that is read: a debug build has 100 MB.
const MOST_EXECUTABLE: u64 = 1 << 30;

/// The code that was written into an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedCode {
    /// The target triple that the executable was built for, and the code with it.
    pub target: String,
    /// Bytes of code, of all components together.
    pub size: u64,
}

/// An error of [`embed`].
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The executable cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Read {
        /// The executable.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The file has no slot for the default component's code, or several slots for the same component.
    #[error("{}: not an executable with pipefold in it: it has {slots} places for compiled code, and needs one for each of its components", .path.display())]
    Slots {
        /// The file.
        path: PathBuf,
        /// Slots found.
        slots: usize,
    },
    /// The executable has a component that this program lacks.
    #[error("{}: from another version of pipefold, or with other features; embed with the same version and features", .path.display())]
    OtherVersion {
        /// The executable.
        path: PathBuf,
    },
    /// There is no compiler for the executable's target.
    #[error("cannot compile for {target}: {reason}; for other processors, use a build with the feature `cross`")]
    Compile {
        /// The target triple.
        target: String,
        /// The engine's error.
        reason: String,
    },
    /// The code is larger than its slot.
    #[error("the code for {target} has {size} bytes, more than an executable has room for; please report it")]
    TooLarge {
        /// The target triple.
        target: String,
        /// Bytes of code.
        size: usize,
    },
    /// The new executable cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Write {
        /// The new executable.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
}

/// Compiles the components of `executable` for its target, and writes the executable with their code in it to `output`. Both may be the same
/// file, also this program's own. Equal executables give equal outputs.
///
/// The code is for the target's baseline CPU, so an executable prepared on a new CPU starts on an older one.
///
/// # Errors
/// [`EmbedError`], naming the file. `output` is then unchanged.
pub fn embed(executable: &Path, output: &Path) -> Result<EmbeddedCode, EmbedError> {
    let read_failed = |reason| EmbedError::Read {
        path: executable.into(),
        reason,
    };
    let (mut bytes, mode) = read(executable).map_err(read_failed)?;
    let places = slot::find(&bytes, DEFAULT.slot.bytes());
    let other_version = || EmbedError::OtherVersion {
        path: executable.into(),
    };
    let components: Option<Vec<&Builtin>> = places.iter().map(|place| of_slot(&bytes[place.clone()])).collect();
    let components = components.ok_or_else(other_version)?;
    let count = |of: &Builtin| components.iter().filter(|found| found.sha256 == of.sha256).count();
    if count(&DEFAULT) != 1 || builtin::all().any(|builtin| count(builtin) > 1) {
        return Err(EmbedError::Slots {
            path: executable.into(),
            slots: places.len(),
        });
    }
    let traps = traps_of(&bytes);
    let mut embedded = EmbeddedCode {
        target: String::new(),
        size: 0,
    };
    for (place, builtin) in places.into_iter().zip(components) {
        // A library has no sources, but a build beside a collector has a place for them.
        if traps == Traps::Checks && ![DEFAULT.sha256, POLICY.sha256].contains(&builtin.sha256) {
            continue;
        }
        let slot = &mut bytes[place];
        let target = slot::target(slot);
        let code = code_of(builtin, &target, traps)?;
        let size = code.len();
        if !slot::fill(slot, &code) {
            return Err(EmbedError::TooLarge { target, size });
        }
        embedded.target = target;
        embedded.size += size as u64;
    }
    write(output, &bytes, mode).map_err(|reason| EmbedError::Write {
        path: output.into(),
        reason,
    })?;
    Ok(embedded)
}

/// The component whose code goes into this slot of an executable, if this program has it. The slots of a library are larger than a program's.
fn of_slot(slot: &[u8]) -> Option<&'static Builtin> {
    let sha256 = slot::component(slot);
    builtin::all().find(|builtin| builtin.sha256 == sha256)
}

/// The default component's code for the baseline CPU of a target triple.
///
/// # Errors
/// [`EmbedError::Compile`] if this build has no compiler for it.
pub fn default_code_for(target: &str) -> Result<Vec<u8>, EmbedError> {
    code_of(&DEFAULT, target, Traps::Signals)
}

fn code_of(builtin: &Builtin, target: &str, traps: Traps) -> Result<Vec<u8>, EmbedError> {
    let compile = || {
        let mut config = engine_config(traps);
        // Naming a target keeps the compiler from using this machine's CPU features beyond the baseline.
        config.target(target)?;
        code_for(&Engine::new(&config)?, builtin.bytes)
    };
    compile().map_err(|error| EmbedError::Compile {
        target: target.into(),
        reason: error.root_cause().to_string(),
    })
}

/// Reads an executable and its permissions.
fn read(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    // Opening a named pipe would wait for its other end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    let mut bytes = Vec::new();
    if file.take(MOST_EXECUTABLE + 1).read_to_end(&mut bytes)? as u64 > MOST_EXECUTABLE {
        return Err(io::Error::other(format!("larger than {} MiB", MOST_EXECUTABLE >> 20)));
    }
    Ok((bytes, mode))
}

/// Writes a new file and renames it: a running program keeps its file, and no file is left half written.
fn write(output: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = output.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}.new", std::process::id()));
    let aside = output.with_file_name(aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&aside)?;
    let written = file
        .write_all(bytes)
        // The executable keeps its permissions, whatever the process's mask.
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all());
    // Closed, as an open file cannot be started.
    drop(file);
    written
        .and_then(|()| fs::rename(&aside, output))
        .inspect_err(|_| drop(fs::remove_file(&aside)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_of_another_size_is_filled() {
        const SIZE: usize = 2 << 20;
        static SLOT: [u8; SIZE] = slot::empty(builtin::DEFAULT_COMPONENT_SHA256);
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library.so");
        fs::write(&library, [b"before", &SLOT[..], b"behind"].concat()).unwrap();
        let embedded = embed(&library, &library).unwrap();
        let bytes = fs::read(&library).unwrap();
        let place = slot::find(&bytes, &SLOT).remove(0);
        let code = slot::code(&bytes[place]).unwrap().unwrap();
        assert_eq!((code.len() as u64, bytes.len()), (embedded.size, SIZE + 12));
    }
}
