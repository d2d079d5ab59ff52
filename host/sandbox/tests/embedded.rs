//! The default component, which imports no function, and its code for executables, which is for the baseline CPU.

#[path = "../src/engine_config.rs"]
#[allow(dead_code)]
mod engine_config;

use crate::engine_section::EngineSection;
use pipefold_sandbox::{
    Chain, DEFAULT_COMPONENT_SHA256, DEFAULT_COMPONENT_SIZE, Limits, Notification, Question, Sandbox, default_code_for,
    inspect::inspect,
};
use std::{path::PathBuf, time::Duration};
use wasmparser::{Parser, Payload};

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/component/default.wasm");

/// The code for an executable of this machine's target.
fn default_code() -> Vec<u8> {
    default_code_for(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).unwrap()
}

#[test]
fn the_default_component_imports_nothing() {
    let component = inspect(&PathBuf::from(COMPONENT).into(), Limits::default().component_size).unwrap();
    assert_eq!(component.imports, []);
    assert!(!component.exports.is_empty());
    // The checked file is the one in programs.
    assert_eq!(component.sha256, DEFAULT_COMPONENT_SHA256);
    assert_eq!(component.size, DEFAULT_COMPONENT_SIZE as u64);
}

#[test]
fn no_clock_runs_against_the_rules() {
    // A machine that is out of CPU time for a while must not cost a large run its delivery.
    let limits = Limits {
        hook: Duration::ZERO,
        chain: Duration::ZERO,
        ..Limits::default()
    };
    let sandbox = Sandbox::new(limits).unwrap();
    let event = Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..Notification::default()
    };
    let history = vec![event; 10_000];
    let plugin = sandbox.default_plugin().unwrap();
    assert!(plugin.merge(&history).is_ok());
    assert!(plugin.pipeline_finish(&history).is_ok());
    let chain = Chain::new(Vec::new(), plugin).unwrap();
    assert!(chain.ask(&Question::PipelineFinish(&history)).is_ok());
    if std::env::var_os(ALONE).is_some() {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok());
        assert!(!names.into_iter().any(|name| name.starts_with("pipefold")));
    }
}

/// The variable set in a process that runs one test alone.
const ALONE: &str = "PIPEFOLD_TEST_ALONE";

#[test]
fn no_thread_watches_the_rules() {
    let test = "embedded::no_clock_runs_against_the_rules";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn nor_do_the_modules_within_beyond_what_the_component_gives_them() {
    // Memories, tables and trampolines between a component's own modules have names that a tool made; the plugin's own have packages.
    let bytes = std::fs::read(COMPONENT).unwrap();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            for import in section.into_imports() {
                let module = import.unwrap().module;
                assert!(
                    !module.contains(':') && !module.contains("wasi"),
                    "a core module imports from {module}"
                );
            }
        }
    }
}

#[test]
fn the_compiled_code_needs_no_cpu_feature_beyond_the_baseline() {
    let section = EngineSection::of(&default_code());
    assert!(section.target.starts_with(std::env::consts::ARCH), "{}", section.target);
    let features: Vec<&str> = section.cpu_features().map(|(name, _)| name).collect();
    // Without features the check would always hold.
    assert!(
        features.len() > 3,
        "the flags that name CPU features were not found: {:?}",
        section.isa_flags
    );
    let needed: Vec<&str> = section
        .cpu_features()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(needed, [""; 0], "the code would not load on an older CPU");
}

#[test]
fn compiled_for_this_cpu_it_would_show() {
    let newer = cfg!(target_arch = "x86_64")
        && std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|info| info.contains(" sse4_2"));
    let component = wat::parse_str("(component)").unwrap();
    let engine = wasmtime::Engine::new(&engine_config::engine_config(engine_config::Traps::of_process())).unwrap();
    let compiled = engine.precompile_component(&component).unwrap();
    let section = EngineSection::of(&compiled);
    assert_eq!(
        section.cpu_features().any(|(name, on)| name == "has_sse42" && on),
        newer,
        "{:?}",
        section.isa_flags
    );
    // The same names: so the other test has checked all features.
    let names = |section: &EngineSection| {
        section
            .cpu_features()
            .map(|(name, _)| name.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&section), names(&EngineSection::of(&default_code())));
}
