//! The names of a cache's files, and the removal of old ones.

use cap_std::fs::{Dir, MetadataExt};
use std::{
    hash::{Hash, Hasher},
    io,
    time::{Duration, SystemTime},
};
use wasmtime::Engine;

/// The ending of an entry's name.
pub const ENTRY: &str = ".cwasm";
/// The ending of a lock's name.
pub const LOCK: &str = ".lock";
/// The ending of a recorded failure's name.
pub const FAILURE: &str = ".failed";
/// The ending of the name of a file that is being written.
pub const ASIDE: &str = ".new";

/// Hexadecimal digits kept of the engine's digest: 128 bits.
const ENGINE_DIGITS: usize = 32;

/// The key of an entry: a component, and the engine that it is compiled for.
pub struct CacheKey {
    stem: String,
}

impl CacheKey {
    /// The key of a component with this digest. The engine's part covers wasmtime's exact version, its settings and the CPU's features.
    pub fn new(engine: &Engine, component: blake3::Hash) -> Self {
        let mut hasher = StableHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hasher.0.finalize().to_hex();
        Self {
            stem: format!("{component}-{}", &engine[..ENGINE_DIGITS]),
        }
    }

    /// Name of the entry's file.
    pub fn file_name(&self) -> String {
        format!("{}{ENTRY}", self.stem)
    }

    /// Name of the file with a recorded failure.
    pub fn failure_name(&self) -> String {
        format!("{}{FAILURE}", self.stem)
    }

    pub fn lock_name(&self) -> String {
        format!("{}{LOCK}", self.stem)
    }

    pub fn aside_name(&self, number: u64) -> String {
        format!("{}.{number:016x}{ASIDE}", self.stem)
    }

    /// The digest of the key in an entry, which reveals a renamed one.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(self.stem.as_bytes()).as_bytes()
    }
}

/// Returns true if a file's name is one of a cache's own: no other file is ever removed.
pub fn is_ours(name: &str) -> bool {
    let Some((stem, ending)) = name.split_once('.') else {
        return false;
    };
    let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_stem = stem
        .split_once('-')
        .is_some_and(|(component, engine)| is_hex(component, 64) && is_hex(engine, ENGINE_DIGITS));
    let is_ending = match ending.split_once('.') {
        Some((number, rest)) => is_hex(number, 16) && Some(rest) == ASIDE.strip_prefix('.'),
        None => [ENTRY, LOCK, FAILURE]
            .iter()
            .any(|ours| ours.strip_prefix('.') == Some(ending)),
    };
    is_stem && is_ending
}

/// A hasher of stable, long digests: the standard library's are too short for a name and may change.
struct StableHasher(blake3::Hasher);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

/// Bytes of all entries together: some twenty guests made from Python.
pub const MOST_BYTES: u64 = 1 << 30;

/// The age after which the writer of an entry, or the holder of its lock, is gone: compiling takes a minute at most by default.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The age after which a component that could not be compiled is most likely out of use. Its file has some hundred bytes.
const FAILURE_STALE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Removes the oldest entries until no more than `most` bytes are left, and the leftovers of killed processes. `keep` stays.
pub fn prune(dir: &Dir, keep: &CacheKey, most: u64) -> io::Result<()> {
    let now = SystemTime::now();
    let mut entries = Vec::new();
    let mut total = 0;
    for file in dir.entries()? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else {
            continue;
        };
        let metadata = match file.metadata() {
            Ok(metadata) if metadata.is_file() && is_ours(&name) => metadata,
            _ => continue,
        };
        let changed = metadata.modified()?.into_std();
        let stale = now.duration_since(changed).is_ok_and(|age| age > STALE);
        if name.ends_with(ENTRY) {
            total += metadata.size();
            entries.push((changed, metadata.size(), name));
        } else if name.ends_with(FAILURE) {
            if now.duration_since(changed).is_ok_and(|age| age > FAILURE_STALE) {
                dir.remove_file(&name)?;
            }
        } else if stale && (name.ends_with(ASIDE) || name.ends_with(LOCK)) {
            dir.remove_file(&name)?;
        }
    }
    entries.sort();
    let kept = keep.file_name();
    for (_, size, name) in entries {
        if total <= most {
            break;
        }
        if name != kept {
            dir.remove_file(&name)?;
            total -= size;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    use crate::engine_config::engine_config;

    #[test]
    fn another_component_or_other_settings_give_another_name() {
        let engine = |change: fn(&mut wasmtime::Config) -> &mut wasmtime::Config| {
            let mut config = engine_config();
            change(&mut config);
            Engine::new(&config).unwrap()
        };
        let name = |engine: &Engine, component: &[u8]| CacheKey::new(engine, blake3::hash(component)).file_name();
        let ours = engine(|config| config);
        assert_eq!(name(&ours, b"a"), name(&engine(|config| config), b"a"));
        assert_ne!(name(&ours, b"a"), name(&ours, b"b"));
        let other_settings = engine(|config| config.epoch_interruption(false));
        assert_ne!(name(&ours, b"a"), name(&other_settings, b"a"));
        let other_version = engine(|config| {
            config
                .module_version(wasmtime::ModuleVersionStrategy::Custom("48.0.7".into()))
                .unwrap()
        });
        assert_ne!(name(&ours, b"a"), name(&other_version, b"a"));
        // The stack is no matter of the code: sandboxes with other limits share entries.
        assert_eq!(
            name(&ours, b"a"),
            name(&engine(|config| config.max_wasm_stack(1 << 20)), b"a")
        );
    }

    #[test]
    fn names_of_cache_files_are_recognised() {
        let engine = Engine::new(&engine_config()).unwrap();
        let key = CacheKey::new(&engine, blake3::hash(b""));
        for name in [key.file_name(), key.lock_name(), key.failure_name(), key.aside_name(7)] {
            assert!(is_ours(&name), "{name}");
        }
        for name in ["notes.txt", "a-b.cwasm", "x.lock", ".new", ""] {
            assert!(!is_ours(name), "{name}");
        }
        assert!(!is_ours(&format!("{}.bak", key.file_name())));
    }
}
