//! The names of a cache's files, and the removal of old ones.

use crate::engine_config::Traps;
use cap_std::fs::{Dir, MetadataExt};
use std::{
    env::consts::{ARCH, OS},
    io,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

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

/// wasmtime's exact version and settings: a digest of what wasmtime itself says decides about its code, for x86-64 without a feature of the CPU.
/// It is recorded here because only builds with a compiler can ask, and all builds of a version share their caches. A test compares it.
const fn engine(traps: Traps) -> &'static str {
    match traps {
        Traps::Signals => "f1db503d7eeefba7beb86b0897745e16",
        Traps::Checks => "3bc0d9ee610820cd74ff705fdf246101",
    }
}

/// The digest of the engine and of the CPU's features that code may use.
static MACHINE: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for part in [engine(Traps::of_process()), ARCH, OS]
        .into_iter()
        .chain(cpu_features())
    {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex()[..ENGINE_DIGITS].to_owned()
});

macro_rules! detected {
    ($detected:ident: $($feature:tt)*) => {
        [$((std::arch::$detected!($feature), $feature)),*]
    };
}

/// The CPU's features that wasmtime's compiler asks for.
fn cpu_features() -> impl Iterator<Item = &'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = detected!(is_x86_feature_detected:
        "cmpxchg16b" "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "fma" "avxvnni" "avx512vnni" "bmi1" "bmi2"
        "avx512bitalg" "avx512dq" "avx512f" "avx512vl" "avx512vbmi" "lzcnt");
    #[cfg(target_arch = "aarch64")]
    let features = detected!(is_aarch64_feature_detected: "lse" "paca" "fp16" "dotprod" "i8mm");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(bool, &str); 0] = [];
    features
        .into_iter()
        .filter_map(|(is_there, feature)| is_there.then_some(feature))
}

/// The key of an entry: a component, and the engine that it is compiled for.
pub struct CacheKey {
    stem: String,
}

impl CacheKey {
    /// The key of a component with this digest. The engine's part covers wasmtime's exact version, its settings and the CPU's features.
    pub fn new(component: blake3::Hash) -> Self {
        Self {
            stem: format!("{component}-{}", *MACHINE),
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

    #[test]
    fn another_component_gives_another_name() {
        let name = |component: &[u8]| CacheKey::new(blake3::hash(component)).file_name();
        assert_eq!(name(b"a"), name(b"a"));
        assert_ne!(name(b"a"), name(b"b"));
    }

    /// Other processors have other settings, and share the recorded digest.
    #[cfg(all(feature = "compiler", target_arch = "x86_64"))]
    #[test]
    fn other_versions_and_settings_give_another_engine() {
        use crate::engine_config::engine_config;

        const ENGINE: &str = engine(Traps::Signals);
        use std::hash::{Hash, Hasher};

        /// The standard library's own hashers are too short for a name and may change.
        struct Digest(blake3::Hasher);

        impl Hasher for Digest {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            fn finish(&self) -> u64 {
                0
            }
        }

        let engine_of = |traps, change: fn(&mut wasmtime::Config) -> &mut wasmtime::Config| {
            let mut config = engine_config(traps);
            change(config.target("x86_64-unknown-linux-gnu").unwrap());
            let engine = wasmtime::Engine::new(&config).unwrap();
            let mut hasher = Digest(blake3::Hasher::new());
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.0.finalize().to_hex()[..ENGINE_DIGITS].to_owned()
        };
        for traps in [Traps::Signals, Traps::Checks] {
            let now = engine_of(traps, |config| config);
            assert_eq!(now, engine(traps), "record the left digest for {traps:?}");
        }
        let engine = |change| engine_of(Traps::Signals, change);
        assert_ne!(engine(|config| config.epoch_interruption(false)), ENGINE);
        let other_version = engine(|config| {
            config
                .module_version(wasmtime::ModuleVersionStrategy::Custom("48.0.7".into()))
                .unwrap()
        });
        assert_ne!(other_version, ENGINE);
        // The stack is no matter of the code: sandboxes with other limits share entries.
        assert_eq!(engine(|config| config.max_wasm_stack(1 << 20)), ENGINE);
    }

    #[test]
    fn names_of_cache_files_are_recognised() {
        let key = CacheKey::new(blake3::hash(b""));
        for name in [key.file_name(), key.lock_name(), key.failure_name(), key.aside_name(7)] {
            assert!(is_ours(&name), "{name}");
        }
        for name in ["notes.txt", "a-b.cwasm", "x.lock", ".new", ""] {
            assert!(!is_ours(name), "{name}");
        }
        assert!(!is_ours(&format!("{}.bak", key.file_name())));
    }
}
