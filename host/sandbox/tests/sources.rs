//! Sources: loading them, and deliveries as large as vendors send.

use crate::{hostile::module, place::Place};
use pipefold_sandbox::{
    Compiler, ComponentFile, Deadline, Delivery, Limits, LoadError, LoadedSource, Role, SOURCES_SHA256, Setting,
    SourceSpec, TranslateError, Translation, inspect::inspect,
};
use std::path::PathBuf;

/// Ignores every delivery.
const IGNORES: &str = "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.const 1024)";

fn source() -> Vec<u8> {
    module::source(module::HONEST_REALLOC, IGNORES, "")
}

fn load(place: &Place, file: &ComponentFile) -> Result<LoadedSource, LoadError> {
    let spec = SourceSpec::new("ci");
    let cache = place.cache();
    let never = Deadline::never();
    place
        .sandbox
        .source_by(&spec, file, Some(&cache), &Compiler::Here, &never)
}

fn error(place: &Place, file: &ComponentFile) -> String {
    let error = load(place, file).err().unwrap().to_string();
    error.replace(&place.folder.path().display().to_string(), "FOLDER")
}

#[test]
fn a_source_is_compiled_once_and_called_from_the_cache() {
    let place = Place::new();
    let file = place.write("ci.wasm", &source());
    let ignored = |loaded: &LoadedSource| loaded.source.translate(&Delivery::default()).unwrap();
    let first = load(&place, &file).unwrap();
    assert_eq!(
        (first.compiled, first.notes.len(), first.source.name()),
        (true, 0, "ci")
    );
    let second = load(&place, &file).unwrap();
    assert_eq!((second.compiled, &second.sha256), (false, &first.sha256));
    for loaded in [first, second] {
        assert_eq!(ignored(&loaded), Translation::Ignored(String::new()));
    }
    let found = inspect(&file, Limits::of_sources().component_size).unwrap();
    assert_eq!((found.fit.role, found.fit.loads), (Role::Source, true));
    let place = Place::new();
    let file = place.write("ci.wasm", &source());
    let compiled = place.sandbox.precompile(&file, &place.cache(), &Compiler::Here);
    assert!(compiled.unwrap().compiled);
    assert!(!load(&place, &file).unwrap().compiled);
}

#[test]
fn what_is_no_source_is_refused_before_it_is_compiled() {
    let place = Place::new();
    let policy = place.policy();
    assert_eq!(
        error(&place, &policy),
        "source ci: it does not load: it imports pipefold:ci/hooks@0.2.0; a source is granted nothing, so build it without imports; \
         it does not export pipefold:ci/translating@0.2.0"
    );
    let file = place.write("ci.wasm", &source());
    assert_eq!(
        place.error(&file, &Compiler::Here),
        "policy p: it does not load: it does not export pipefold:ci/hooks@0.2.0"
    );
    let other_type = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $e (export "translate" (func $f)))
            (export "pipefold:ci/translating@0.2.0" (instance $e)))"#,
    );
    let file = place.write("other.wasm", &other_type.unwrap());
    assert_eq!(
        error(&place, &file),
        "source ci: it does not load: it exports pipefold:ci/translating@0.2.0 with another type of translate"
    );
    let granted = wat::parse_str(
        r#"(component
            (import "pipefold:ci/log@0.2.0" (instance))
            (instance $e)
            (export "pipefold:ci/translating@0.2.0" (instance $e)))"#,
    )
    .unwrap();
    let file = place.write("granted.wasm", &granted);
    assert_eq!(
        error(&place, &file),
        "source ci: it does not load: it imports pipefold:ci/log@0.2.0; a source is granted nothing, so build it without imports"
    );
    assert!(!place.path("cache").exists() || place.entries().is_empty());
}

#[test]
fn a_pin_and_a_deadline_hold_for_sources_too() {
    let place = Place::new();
    place.write("ci.wasm", &source());
    let path = place.path("ci.wasm").display().to_string();
    let pinned = format!("{path}@sha256:{}", "0".repeat(64)).parse().unwrap();
    assert!(error(&place, &pinned).contains("is pinned"));
    let over = Deadline::never();
    over.set(std::time::Instant::now());
    let unfinished = place
        .sandbox
        .built_in_sources_by(Some(&place.cache()), &Compiler::Here, &over);
    assert_eq!(
        unfinished.err().unwrap().to_string(),
        "source built-in: still compiling; to have it ready ahead of builds, run `pipefold component compile`"
    );
}

fn built_in(place: &Place) -> LoadedSource {
    let never = Deadline::never();
    let loaded = place.sandbox.built_in_sources_by(None, &Compiler::Here, &never);
    loaded.unwrap()
}

#[test]
fn the_built_in_sources_import_nothing_and_name_what_they_lack() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/component/sources.wasm"));
    let found = inspect(&file.into(), Limits::default().component_size).unwrap();
    assert_eq!(found.imports, []);
    assert_eq!((found.fit.role, found.fit.loads), (Role::Source, true));
    let loaded = built_in(&Place::new());
    assert_eq!((&loaded.sha256, SOURCES_SHA256), (&found.sha256, found.sha256.as_str()));
    let refused = |settings: Vec<Setting>| {
        let delivery = Delivery {
            settings,
            ..Delivery::default()
        };
        match loaded.source.translate(&delivery) {
            Err(TranslateError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let nothing = Setting {
        name: "use".into(),
        value: "nothing".into(),
    };
    assert_eq!(refused(vec![nothing]), "there is no built-in source `nothing`");
    assert_eq!(
        refused(Vec::new()),
        "the setting `use` is missing: it names the CI system"
    );
}

#[test]
fn the_largest_delivery_reaches_the_built_in_sources() {
    let delivery = Delivery {
        body: format!("{{\"x\":\"{}\"}}", "é".repeat((25 << 20) / 2 - 5)),
        ..Delivery::default()
    };
    let answer = built_in(&Place::new()).source.translate(&delivery);
    assert!(matches!(answer, Err(TranslateError::Refused(_))), "{answer:?}");
}
