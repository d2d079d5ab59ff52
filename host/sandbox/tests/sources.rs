//! Sources: loading them, and deliveries as large as vendors send.

use crate::{hostile::module, place::Place};
use pipefold_sandbox::{
    Compiler, ComponentFile, Deadline, Delivery, Header, Limits, LoadError, LoadedSource, Role, SOURCES_SHA256,
    Setting, SourceSpec, TranslateError, Translation, inspect::inspect,
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

/// A delivery of 25 MiB about one run of GitHub Actions, of which most are fields that no mapping reads.
fn largest_delivery() -> Delivery {
    let head = r#"{"action":"completed","workflow_run":{"id":289782451,"name":"test","run_attempt":1,"status":"completed",
        "conclusion":"success","created_at":"2025-01-01T12:05:00Z","run_started_at":"2025-01-01T12:05:00Z",
        "updated_at":"2025-01-01T12:06:00Z","html_url":"https://github.com/getdx/some_repo/actions/runs/289782451",
        "head_branch":"main","head_sha":"3484a3fb816e0859fd6e1cea078d76385ff50625","pull_requests":[]},
        "repository":{"full_name":"getdx/some_repo","html_url":"https://github.com/getdx/some_repo"},"others":["#;
    let other = r#"{"id":1,"url":"https://api.github.com/repos/getdx/some_repo/issues{/number}","name":"Zo\u00eb \"é\"\n","is":[true,null,-1.5e3,{}]},"#;
    let count = ((25 << 20) - head.len() - 3) / other.len();
    let text = |text: &str| text.to_owned();
    Delivery {
        headers: vec![Header {
            name: text("x-github-event"),
            value: text("workflow_run"),
        }],
        body: format!("{head}{}0]}}", other.repeat(count)),
        received_at: text("2025-01-01T12:06:01Z"),
        settings: vec![Setting {
            name: text("use"),
            value: text("github"),
        }],
    }
}

#[test]
fn the_largest_delivery_is_translated_with_half_of_the_memory() {
    let place = Place::new();
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/component/sources.wasm"));
    let component = std::fs::read(file).unwrap();
    let default = SourceSpec::new("ci");
    let mut half = default.clone();
    half.limits.memory /= 2;
    let delivery = largest_delivery();
    assert!(delivery.body.len() > (25 << 20) - 200);
    for spec in [default, half] {
        let source = place.sandbox.source_compiled_here(&spec, &component).unwrap();
        let Translation::Notifications(notifications) = source.translate(&delivery).unwrap() else {
            panic!("it is ignored");
        };
        assert_eq!(notifications.len(), 1);
        assert_eq!(notifications[0].head_branch.as_deref(), Some("main"));
        assert_eq!(notifications[0].status.as_deref(), Some("success"));
    }
}

#[test]
fn a_delivery_takes_no_memory_for_what_is_not_read() {
    let source = built_in(&Place::new()).source;
    let large = [
        format!("\"{}\"", "x\\n".repeat(7 << 20)),
        format!("[{}0]", "0,".repeat(10 << 20)),
        format!("[{}0]", "{\"id\":[{}]},".repeat(7 << 18)),
        format!("{}0{}", "[".repeat(10 << 20), "]".repeat(10 << 20)),
        format!("{{{}\"y\":0}}", "\"x\":\"y\",".repeat(5 << 19)),
    ];
    // The text is under a name that no mapping has, the others are also where a text is read.
    for (at, large) in large.iter().enumerate() {
        assert!((20_000_000..25 << 20).contains(&large.len()), "{at}: {}", large.len());
        for name in ["x", "action"].iter().take(1 + at) {
            let delivery = Delivery {
                headers: vec![Header {
                    name: "x-github-event".into(),
                    value: "workflow_run".into(),
                }],
                body: format!("{{\"{name}\":{large},\"workflow_run\":{{}}}}"),
                settings: vec![Setting {
                    name: "use".into(),
                    value: "github".into(),
                }],
                ..Delivery::default()
            };
            let answer = source.translate(&delivery);
            let is_without =
                matches!(&answer, Err(TranslateError::Refused(reason)) if reason.starts_with("action is missing"));
            assert!(is_without, "{name} {at}: {answer:?}");
        }
    }
}
