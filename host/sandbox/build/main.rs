//! Builds the default component, or takes the one in the package. It is compiled to machine code later, by `pipefold component embed` or by
//! the first process that needs it: a compiler in a build script would be built a second time.

mod component;

use sha2::{Digest, Sha256};
use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = env::var("CARGO_MANIFEST_DIR")?;
    let out_dir = env::var("OUT_DIR")?;
    let carried = Path::new(&manifest_dir).join("component/default.wasm");
    let plugin = Path::new(&manifest_dir).join("../../plugin");
    let wit = Path::new(&manifest_dir).join("../../wit");
    println!("cargo:rerun-if-changed=build");

    // Inside the workspace the component is always made from its source; the packaged crate has none, and carries the result.
    let component = if plugin.join("Cargo.toml").is_file() {
        let module = fs::read(component::core_module(&plugin, &wit, Path::new(&out_dir))?)?;
        let component = encode(&module)?;
        write_if_changed(&carried, &component)?;
        component
    } else {
        println!("cargo:rerun-if-changed=component/default.wasm");
        fs::read(&carried).map_err(|error| format!("{}: {error}; the package is incomplete", carried.display()))?
    };

    fs::write(Path::new(&out_dir).join("default.wasm"), &component)?;
    println!(
        "cargo:rustc-env=PIPEFOLD_COMPONENT_SHA256={:x}",
        Sha256::digest(&component)
    );
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
