//! The contents of a component file, read without running or compiling it, and the result of the checks for loading.

use crate::{
    component_file::{ComponentBytes, ComponentFile, ComponentFileError},
    fit::{self, Fit},
    outline::{CORE_MODULE, MOST_NAMES, names},
};
use serde::Serialize;
use std::path::PathBuf;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Encoding, KnownCustom, Parser, Payload};

/// The contents of a component file.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Inspection {
    /// Size of the file in bytes.
    pub size: u64,
    /// Hexadecimal sha256 of the file, as a pin `file.wasm@sha256:…` has it.
    pub sha256: String,
    /// Its imports.
    pub imports: Vec<Item>,
    /// Its exports.
    pub exports: Vec<Item>,
    /// The number of core modules inside.
    pub core_modules: usize,
    /// The tools that produced it, as `name version`.
    pub producers: Vec<String>,
    /// The result of the checks for loading.
    #[serde(flatten)]
    pub fit: Fit,
}

/// One import or export.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Item {
    /// Its name, such as `pipefold:ci/hooks@0.2.0`.
    pub name: String,
    /// Its kind: `instance`, `function`, `type`, `component`, `module` or `value`.
    pub kind: &'static str,
}

/// An error of [`inspect`].
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file cannot be read, is too large or has another digest than the pin.
    #[error(transparent)]
    File(#[from] ComponentFileError),
    /// The file is a core module, not a component.
    #[error("{}: {CORE_MODULE}", .0.display())]
    CoreModule(PathBuf),
    /// The file is not WebAssembly, or damaged.
    #[error("{}: not a WebAssembly component: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault in the file.
        reason: String,
    },
}

/// Reads a component file of at most `limit` bytes and lists its contents.
///
/// # Errors
/// [`InspectError`], each naming the file.
pub fn inspect(file: &ComponentFile, limit: u64) -> Result<Inspection, InspectError> {
    let ComponentBytes { bytes, sha256 } = file.read(limit)?;
    let malformed = |reason: String| InspectError::Malformed {
        path: file.path().into(),
        // The parser's message may have several lines.
        reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    if bytes.is_empty() {
        return Err(malformed("the file is empty".into()));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(malformed("wrong magic number; compile the text format first".into()));
    }
    inspect_bytes(&bytes, sha256)
        .map_err(|error| malformed(error.to_string()))?
        .ok_or_else(|| InspectError::CoreModule(file.path().into()))
}

/// Inspects bytes in memory; `None` if they are a core module.
fn inspect_bytes(bytes: &[u8], sha256: String) -> Result<Option<Inspection>, wasmparser::BinaryReaderError> {
    let (imports, exports) = names(bytes);
    let mut found = Inspection {
        size: bytes.len() as u64,
        sha256,
        imports: Vec::new(),
        exports: Vec::new(),
        core_modules: 0,
        producers: Vec::new(),
        fit: fit::examine(bytes, &imports, &exports),
    };
    // Modules and components inside the outermost one are in the same stream: only those at depth 1 are the file's own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => return Ok(None),
            Payload::Version { encoding, .. } => {
                depth += 1;
                found.core_modules += usize::from(encoding == Encoding::Module);
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import?;
                    push(
                        &mut found.imports,
                        Item {
                            name: import.name.name.into(),
                            kind: type_kind(&import.ty),
                        },
                    );
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export = export?;
                    push(
                        &mut found.exports,
                        Item {
                            name: export.name.name.into(),
                            kind: export_kind(export.kind),
                        },
                    );
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(producers) = section.as_known() {
                    for field in producers {
                        for value in field?.values {
                            let value = value?;
                            push(
                                &mut found.producers,
                                format!("{} {}", value.name, value.version).trim().to_owned(),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Some(found))
}

/// Adds a new item, up to [`MOST_NAMES`].
fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MOST_NAMES && !list.contains(&item) {
        list.push(item);
    }
}

fn type_kind(ty: &ComponentTypeRef) -> &'static str {
    match ty {
        ComponentTypeRef::Module(_) => "module",
        ComponentTypeRef::Func(_) => "function",
        ComponentTypeRef::Value(_) => "value",
        ComponentTypeRef::Type(_) => "type",
        ComponentTypeRef::Instance(_) => "instance",
        ComponentTypeRef::Component(_) => "component",
    }
}

fn export_kind(kind: ComponentExternalKind) -> &'static str {
    match kind {
        ComponentExternalKind::Module => "module",
        ComponentExternalKind::Func => "function",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Instance => "instance",
        ComponentExternalKind::Component => "component",
    }
}
