//! Inputs to begin with, one a kind that a target treats differently: without them a fuzzer spends its time on the first bytes.

use std::{fs, path::Path};

/// Writes the seeds of a target to `seeds/TARGET/`, where `scripts/fuzz.sh` has the fuzzer look for them.
///
/// # Panics
/// If they cannot be written.
pub fn write<B: AsRef<[u8]>>(target: &str, seeds: impl IntoIterator<Item = (&'static str, B)>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory).unwrap();
    for (name, bytes) in seeds {
        fs::write(directory.join(name), bytes).unwrap();
    }
}
