//! Writes the C header of `src/abi.rs`, or checks it with `--check`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no directory")?;
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(library.join("cbindgen.toml"))?)
        .with_src(library.join("src/abi.rs"))
        .generate()?
        .write(&mut header);
    let path = library.join("include/pipefold.h");
    if !std::env::args().any(|argument| argument == "--check") {
        return Ok(std::fs::write(path, header)?);
    }
    match std::fs::read(&path)? == header {
        true => Ok(()),
        false => Err("host/c/include/pipefold.h is not that of src/abi.rs: run `cargo run --manifest-path host/c/header/Cargo.toml`".into()),
    }
}
