//! `component compile`, and what `component inspect` says about loading.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use pipefold_tests::{Ci, Pipefold, workspace_root};
use serde_json::Value;

/// The default component, which the build has left there.
fn default_component() -> PathBuf {
    workspace_root().join("host/sandbox/component/default.wasm")
}

fn compile(ci: &Ci, more: &[&str]) -> Pipefold {
    ci.pipefold(["component", "compile"])
        .args([default_component()])
        .args(more.iter().copied())
}

#[test]
fn compiling_fills_the_users_cache_once() {
    let ci = Ci::new();
    let cache = ci.directory().join("home/.cache/pipefold");
    let first = compile(&ci, &["--json"]).run();
    first.assert_code(0);
    let first = first.json();
    assert_eq!(first["compiled"], true, "{first:#}");
    assert_eq!(first["cache"], cache.to_str().unwrap());
    assert_eq!(first["notes"], Value::Array(Vec::new()));
    let kept = std::fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| entry.path().extension().unwrap() == "cwasm")
        .unwrap();
    assert!(kept.metadata().unwrap().len() > first["code_size"].as_u64().unwrap());

    let second = compile(&ci, &["--json"]).run().json();
    assert_eq!(second["compiled"], false, "{second:#}");
    assert_eq!(second["sha256"], first["sha256"]);
    let people = compile(&ci, &[]).run();
    assert!(people.stdout().contains("compiled before"), "{people}");
    let elsewhere = compile(&ci, &["--json", "--policy-cache", "elsewhere"]).run().json();
    assert_eq!(elsewhere["compiled"], true, "{elsewhere:#}");
}

#[test]
fn processes_that_compile_at_the_same_time_compile_once() {
    let ci = Ci::new();
    let running: Vec<_> = (0..6).map(|_| compile(&ci, &["--json"]).spawn()).collect();
    let compiled = running
        .into_iter()
        .map(|running| running.wait().json())
        .filter(|answer| answer["compiled"] == true);
    assert_eq!(compiled.count(), 1);
}

#[test]
fn a_wrong_pin_and_an_open_cache_are_refused() {
    let ci = Ci::new();
    let wrong = format!("{}@sha256:{}", default_component().display(), "0".repeat(64));
    let output = ci.pipefold(["component", "compile", &wrong]).run();
    output.assert_code(1);
    assert!(output.stderr().contains("is pinned"), "{output}");
    // No digest at all is a wrong command line.
    let output = ci.pipefold(["component", "compile", "a.wasm@sha256:12"]).run();
    output.assert_code(2);
    assert!(output.stderr().contains("64 hexadecimal digits"), "{output}");

    let cache = ci.directory().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&cache, mode).unwrap();
    let output = compile(&ci, &["--policy-cache", cache.to_str().unwrap()]).run();
    output.assert_code(1);
    assert!(output.stderr().contains("lets other users in"), "{output}");
}

#[test]
fn roots_cache_serves_everyone_and_takes_from_nobody() {
    if !rustix::process::geteuid().is_root() {
        return pipefold_tests::skipped("roots_cache_serves_everyone", "only root owns such a cache");
    }
    let ci = Ci::new();
    let everyone = |path: PathBuf| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    };
    let cache = ci.directory().join("cache");
    std::fs::create_dir(&cache).unwrap();
    everyone(cache.clone());
    everyone(ci.directory().to_owned());
    let component = ci.directory().join("component.wasm");
    std::fs::copy(default_component(), &component).unwrap();
    let cache = cache.to_str().unwrap();
    let compile = || {
        ci.pipefold([
            "component",
            "compile",
            component.to_str().unwrap(),
            "--json",
            "--policy-cache",
            cache,
        ])
        .cwd("/")
    };
    let refused = compile().user(12345).run();
    refused.assert_code(1);
    assert!(refused.stderr().contains("cannot write to the cache"), "{refused}");
    assert_eq!(compile().run().json()["compiled"], true);
    assert_eq!(compile().user(12345).run().json()["compiled"], false);
}

#[test]
fn the_compiling_command_is_no_one_elses() {
    let ci = Ci::new();
    let output = ci.pipefold(["component", "compile-worker"]).stdin("(component)").run();
    output.assert_code(1);
    assert!(output.stdout().is_empty(), "{output}");
    let help = ci.pipefold(["component", "--help"]).run();
    assert!(!help.stdout().contains("worker"), "{help}");
}

#[test]
fn inspecting_says_how_a_component_loads() {
    let ci = Ci::new();
    let inspect = |file: PathBuf, more: &[&str]| {
        ci.pipefold(["component", "inspect"])
            .args([file])
            .args(more.iter().copied())
            .run()
    };
    let found = inspect(default_component(), &["--json"]).json();
    assert_eq!(
        (&found["role"], &found["loads"], &found["wit_versions"][0]),
        (&"plugin".into(), &true.into(), &"0.1.0".into()),
        "{found:#}"
    );
    let people = inspect(default_component(), &[]).stdout();
    assert!(people.contains("made for  pipefold:ci@0.1.0"), "{people}");
    assert!(people.contains("loads     as a plugin, without any grant"), "{people}");

    let empty = ci.workspace().join("empty.wasm");
    std::fs::write(&empty, b"\0asm\x0d\0\x01\0").unwrap();
    let people = inspect(empty, &[]).stdout();
    assert!(
        people.contains("loads     no\nbecause   it does not export pipefold:ci/hooks@0.1.0"),
        "{people}"
    );
}
