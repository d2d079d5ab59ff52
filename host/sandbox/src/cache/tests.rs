//! Tests with entries that only the cache itself could have written.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Cache, CacheKey, names::prune};
use crate::engine_config::{Traps, engine_config};
use crate::{ChildCompiler, Compiler, ComponentFile, Deadline, Limits, Sandbox};
use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use wasmtime::Engine;

/// A component that loads.
const PLUGIN: &[u8] = include_bytes!("../../component/default.wasm");

struct TestCache {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
}

impl TestCache {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox: Sandbox::new(Limits::default()).unwrap(),
        }
    }

    fn cache(&self) -> Cache {
        Cache::open(&self.folder.path().join("cache")).unwrap()
    }

    fn component(&self, bytes: &[u8]) -> (ComponentFile, CacheKey) {
        let path = self.folder.path().join("component.wasm");
        fs::write(&path, bytes).unwrap();
        let key = CacheKey::new(blake3::hash(bytes));
        (path.into(), key)
    }
}

/// Writes an entry, as whole as any, whose code is this.
fn forge(cache: &Cache, key: &CacheKey, code: &[u8]) {
    let mut aside = cache.begin(key).unwrap();
    aside.write_all(code).unwrap();
    aside.finish(key, &"0".repeat(64)).unwrap();
}

#[test]
fn an_entry_for_another_engine_is_refused_named_and_replaced() {
    let place = TestCache::new();
    let cache = place.cache();
    let (file, key) = place.component(PLUGIN);
    let mut config = engine_config(Traps::Signals);
    config
        .module_version(wasmtime::ModuleVersionStrategy::Custom("47.0.0".into()))
        .unwrap();
    let older = Engine::new(&config).unwrap();
    let older = older.precompile_component(PLUGIN).unwrap();
    let mut config = engine_config(Traps::Signals);
    config.epoch_interruption(false);
    let unstoppable = Engine::new(&config).unwrap();
    let unstoppable = unstoppable.precompile_component(PLUGIN).unwrap();
    for (code, reason) in [
        (
            older,
            "does not fit this engine: Module was compiled with incompatible version '47.0.0'",
        ),
        (
            unstoppable,
            "does not fit this engine: Module was compiled without epoch interruption",
        ),
        (b"no code".to_vec(), "does not fit this engine: Unsupported ELF header"),
    ] {
        forge(&cache, &key, &code);
        let again = place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap();
        assert!(again.compiled);
        let [note] = again.notes.as_slice() else {
            panic!("{:?}", again.notes)
        };
        assert!(note.contains(reason) && note.contains(&key.file_name()), "{note}");
        let third = place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap();
        assert_eq!((third.compiled, third.notes.len()), (false, 0));
    }
}

#[test]
fn an_entry_can_be_read_where_it_cannot_be_mapped() {
    let place = TestCache::new();
    let cache = place.cache();
    let (file, key) = place.component(PLUGIN);
    place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap();
    let entry = cache.find(&key).unwrap().unwrap();
    let bytes = entry.read().unwrap();
    assert!(entry.code_size() > 0 && bytes.len() as u64 > entry.code_size());
    assert_eq!(
        fs::read(entry.name_of_open_file().unwrap()).unwrap()[..bytes.len()],
        bytes
    );
    // Written to after it was checked, it is not what was checked.
    let path = cache.path().join(key.file_name());
    let mut changed = fs::read(&path).unwrap();
    changed[0] ^= 1;
    fs::write(&path, changed).unwrap();
    assert!(entry.read().is_err());
}

#[test]
fn a_lock_is_waited_for_and_not_for_ever() {
    let place = TestCache::new();
    let cache = place.cache();
    let (file, key) = place.component(PLUGIN);
    let held = cache.lock(&key, Duration::ZERO, &Deadline::never());
    assert!(matches!(held, super::Lock::Held(_)));
    let compiler = Compiler::Child(ChildCompiler {
        time: Duration::from_millis(200),
        ..ChildCompiler::new("/bin/false", [""; 0])
    });
    let error = place.sandbox.precompile(&file, &cache, &compiler).unwrap_err();
    assert!(error.to_string().contains("the compiler ended early"), "{error}");
    forge(&cache, &key, b"damaged before the wait");
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(held);
    });
    let made = place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap();
    holder.join().unwrap();
    assert!(made.compiled);
    assert!(
        !made.notes.iter().any(|note| note.contains("another process")),
        "{:?}",
        made.notes
    );
}

#[test]
fn a_directory_that_was_opened_up_later_is_not_trusted() {
    let place = TestCache::new();
    let cache = place.cache();
    let (file, _) = place.component(PLUGIN);
    place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap();
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = place.sandbox.precompile(&file, &cache, &Compiler::Here).unwrap_err();
    assert!(error.to_string().contains("mode 0777 lets other users in"), "{error}");
}

#[test]
fn the_oldest_entries_go_first_and_only_ones_own_files() {
    let place = TestCache::new();
    let cache = place.cache();
    let keys: Vec<CacheKey> = [
        "(component)",
        "(component (component))",
        "(component (component) (component))",
    ]
    .into_iter()
    .map(|text| place.component(&wat::parse_str(text).unwrap()).1)
    .collect();
    let day = Duration::from_secs(24 * 60 * 60);
    let write = |name: &str, days: u32| {
        let path = cache.path().join(name);
        fs::write(&path, [0; 1000]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - day * days).unwrap();
    };
    for (key, days) in keys.iter().zip([5, 4, 3]) {
        write(&key.file_name(), days);
    }
    let (left_behind, in_the_making) = (keys[0].aside_name(1), keys[0].aside_name(2));
    write(&left_behind, 2);
    write(&in_the_making, 0);
    write("notes.txt", 9);
    let is_there = |name: &str| Path::new(cache.path()).join(name).exists();

    prune(&cache.dir, &keys[0], 3000).unwrap();
    assert!(keys.iter().all(|key| is_there(&key.file_name())));
    assert!(!is_there(&left_behind) && is_there(&in_the_making));
    // The one that was just made stays, though it is the oldest here.
    prune(&cache.dir, &keys[0], 2000).unwrap();
    assert!(is_there(&keys[0].file_name()) && !is_there(&keys[1].file_name()) && is_there(&keys[2].file_name()));
    prune(&cache.dir, &keys[0], 0).unwrap();
    assert!(is_there(&keys[0].file_name()) && !is_there(&keys[2].file_name()));
    assert!(is_there("notes.txt"));
}
