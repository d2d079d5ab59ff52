//! Builds the components in programs, or takes those in the package. They are compiled to machine code later, by `pipefold component embed`
//! or by the first process that needs them: a compiler in a build script would be built a second time.

mod component;

use component::Core;
use sha2::{Digest, Sha256};
use std::{env, error::Error, fs, path::Path};

/// The default component, the built-in policy, and the built-in sources: their names, and the crates that they are made of.
const COMPONENTS: [(&str, Core); 3] = [
    (
        "default",
        Core {
            dir: "../../plugin",
            package: "pipefold-plugin",
            artifact: "pipefold_plugin.wasm",
            shared: &[],
            // Not in its manifest: the core module depends on it with other features, and cargo would write both to one file.
            arguments: &["--crate-type", "cdylib,rlib"],
        },
    ),
    (
        "policy",
        Core {
            dir: "../../plugin/policy",
            package: "pipefold-policy",
            artifact: "pipefold_policy.wasm",
            shared: &["../../plugin/src/blank.rs"],
            // As for the sources: what takes time in it is in crates of their own, which keep the profile's level.
            arguments: &["--crate-type", "cdylib", "--", "-C", "opt-level=z"],
        },
    ),
    (
        "sources",
        Core {
            dir: "../../plugin/sources",
            package: "pipefold-sources",
            artifact: "pipefold_sources.wasm",
            shared: &["../reporter/src/detect/values", "../../plugin/sources/json"],
            // A delivery runs a small part of the mappings, once. At this level they have a third less code; the reader of JSON, which takes most
            // of the time, is a crate of its own and keeps the profile's. Without the library for tests, cargo optimises all crates together.
            arguments: &["--crate-type", "cdylib", "--", "-C", "opt-level=z"],
        },
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = env::var("CARGO_MANIFEST_DIR")?;
    let out_dir = env::var("OUT_DIR")?;
    let (here, out_dir) = (Path::new(&manifest_dir), Path::new(&out_dir));
    println!("cargo:rerun-if-changed=build");

    // Inside the workspace the components are always made from their source; the packaged crate has none, and carries the results.
    let is_workspace = here.join(COMPONENTS[0].1.dir).join("Cargo.toml").is_file();
    if is_workspace {
        component::build(
            here,
            &COMPONENTS.map(|(_, core)| core),
            &here.join("../../wit"),
            out_dir,
        )?;
    }
    for (name, core) in COMPONENTS {
        let file = format!("component/{name}.wasm");
        let carried = here.join(&file);
        let component = if is_workspace {
            let component = encode(&fs::read(out_dir.join(core.artifact))?)?;
            write_if_changed(&carried, &component)?;
            component
        } else {
            println!("cargo:rerun-if-changed={file}");
            fs::read(&carried).map_err(|error| format!("{}: {error}; the package is incomplete", carried.display()))?
        };
        fs::write(out_dir.join(format!("{name}.wasm")), &component)?;
        println!(
            "cargo:rustc-env=PIPEFOLD_{}_SHA256={:x}",
            name.to_uppercase(),
            Sha256::digest(&component)
        );
    }
    println!("cargo:rustc-env=PIPEFOLD_TARGET={}", env::var("TARGET")?);
    Ok(())
}

/// Wraps the core module, which carries its world's description, into a component.
fn encode(module: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let component = wit_component::ComponentEncoder::default()
        .module(module)?
        .validate(true)
        .encode()?;
    Ok(component)
}

/// Writes a file unless it has this content already: its new time would make cargo build again.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)?;
    Ok(())
}
