//! Makes a component of a core module that wit-bindgen was used in: `componentize MODULE COMPONENT`.
//!
//! `wasm-tools component new MODULE -o COMPONENT` does the same; this is for where that is not installed.

use std::error::Error;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        return Err("usage: componentize MODULE COMPONENT".into());
    };
    let encoded = ComponentEncoder::default()
        .module(&fs::read(module)?)?
        .validate(true)
        .encode()?;
    fs::write(component, encoded)?;
    Ok(())
}
