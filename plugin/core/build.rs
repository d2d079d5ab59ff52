//! Builds this crate as the core module, from within its native build.

#[path = "../../host/sandbox/build/component.rs"]
mod component;

use component::Core;
use std::error::Error;
use std::{env, fs, path::Path};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

const CORE: Core = Core {
    dir: ".",
    package: "pipefold-core",
    artifact: "pipefold_core.wasm",
    shared: &[
        "../src",
        "../Cargo.toml",
        "../../host/cli/src/commands/hook/read.rs",
        "../../host/reporter/src/source/nearest.rs",
        "../../host/sandbox/src/foreign/json.rs",
    ],
    arguments: &[
        // A sixth less code than with the component's level, and as fast.
        "--config",
        "profile.release.opt-level=\"s\"",
        "--crate-type",
        "cdylib",
        "--",
        // No function is recursive. A fresh instance has less memory to clear than with the linker's 1 MiB.
        "-C",
        "link-arg=-zstack-size=131072",
        // More than any input needs, so that a host knows the bound; and places are positive as signed numbers.
        "-C",
        "link-arg=--max-memory=536870912",
    ],
};

fn main() -> Result<(), Box<dyn Error>> {
    // This is the inner build.
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        return Ok(());
    }
    let (here, out_dir) = (env::var("CARGO_MANIFEST_DIR")?, env::var("OUT_DIR")?);
    let here = Path::new(&here);
    let out_dir = Path::new(&out_dir);
    component::build(here, &[CORE], &here.join("../../wit"), out_dir)?;
    let file = out_dir.join(CORE.artifact);
    let module = tidy(&fs::read(&file)?)?;
    fs::write(&file, &module)?;
    // For packages and examples, where they find it.
    let found = here.join("pipefold-core.wasm");
    if fs::read(&found).map_or(true, |present| present != module) {
        fs::write(&found, &module)?;
    }
    Ok(())
}

/// Leaves out what only linkers and tools read: custom sections, and the exports that rustc and wit-bindgen add to every module.
fn tidy(module: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut tidied = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::CustomSection(_) => {}
            Payload::ExportSection(exports) => {
                let mut kept = ExportSection::new();
                for export in exports {
                    let export = export?;
                    if ["__", "cabi_"].iter().any(|prefix| export.name.starts_with(prefix)) {
                        continue;
                    }
                    let kind = match export.kind {
                        ExternalKind::Func => ExportKind::Func,
                        ExternalKind::Memory => ExportKind::Memory,
                        other => return Err(format!("the export {} is a {other:?}", export.name).into()),
                    };
                    kept.export(export.name, kind, export.index);
                }
                tidied.section(&kept);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    tidied.section(&RawSection {
                        id,
                        data: &module[range],
                    });
                }
            }
        }
    }
    Ok(tidied.finish())
}
