//! `component compile`, and the report of `component inspect` about loading.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::guests;
use pipefold_tests::{Ci, Pipefold, eventually, until, workspace_root};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The body of a hook that passes the question on.
const FORWARD: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";

/// A policy that takes some ten seconds to compile: values that all live at the same time, across many blocks.
fn slow() -> Vec<u8> {
    let (locals, blocks) = (1200, 4000);
    let mut body = String::new();
    for block in 0..blocks {
        let (one, other) = (1 + block % locals, 1 + (block * 7 + 3) % locals);
        let _ = write!(
            body,
            "(block (br_if 0 (local.get 0)) (local.set {one} (i64.add (local.get {one}) (local.get {other}))))"
        );
    }
    let sum: String = (1..=locals)
        .map(|local| format!("(local.get {local}) (i64.add)"))
        .collect();
    let types = "i64 ".repeat(locals);
    let more = format!("(func (param i32) (result i64) (local {types}) {body} (i64.const 0) {sum})");
    guests::policy(FORWARD, "", &more)
}

/// The KiB of address space: enough for the command, and not for that policy's compiler.
const LITTLE_MEMORY: u64 = 500_000;

/// The processes that this one has started.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_the_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            after_the_name.split(' ').nth(1) == Some(&parent.to_string())
        })
        .collect()
}

/// Returns true if a process runs. A zombie does not.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

/// The processor time that a process has used, in ticks: hundredths of a second on Linux.
fn processor_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_the_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_the_name
        .split(' ')
        .nth(11)
        .and_then(|ticks| ticks.parse().ok())
        .unwrap_or_default()
}

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
    insta::assert_snapshot!("malformed_pin", ci.neutral(&output.stderr()));

    let cache = ci.directory().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&cache, mode).unwrap();
    let output = compile(&ci, &["--policy-cache", cache.to_str().unwrap()]).run();
    output.assert_code(1);
    insta::assert_snapshot!("open_cache", ci.neutral(&output.stderr()));
}

#[test]
fn roots_cache_serves_every_user_and_takes_from_none() {
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
    insta::assert_snapshot!("cache_of_root", ci.neutral(&refused.stderr()));
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
fn inspecting_shows_how_a_component_loads() {
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
        (&"plugin".into(), &true.into(), &"0.2.0".into()),
        "{found:#}"
    );
    let people = inspect(default_component(), &[]).stdout();
    assert!(people.contains("made for  pipefold:ci@0.2.0"), "{people}");
    assert!(people.contains("loads     as a plugin, without any grant"), "{people}");

    let sources = workspace_root().join("host/sandbox/component/sources.wasm");
    let people = inspect(sources.clone(), &[]).stdout();
    assert!(people.contains("loads     as a source\n"), "{people}");
    assert!(
        people.contains("may use   64 MiB memory, 4000 ms a delivery, "),
        "{people}"
    );
    let found = inspect(sources.clone(), &["--json"]).json();
    assert_eq!(
        (&found["role"], &found["loads"]),
        (&"source".into(), &true.into()),
        "{found:#}"
    );
    let compiled = ci
        .pipefold(["component", "compile", "--json"])
        .args([sources])
        .run()
        .json();
    assert_eq!(
        (&compiled["compiled"], &compiled["sha256"]),
        (&true.into(), &found["sha256"]),
        "{compiled:#}"
    );

    let empty = ci.workspace().join("empty.wasm");
    std::fs::write(&empty, b"\0asm\x0d\0\x01\0").unwrap();
    let people = inspect(empty, &[]).stdout();
    assert!(
        people.contains("loads     no\nbecause   it does not export pipefold:ci/hooks@0.2.0"),
        "{people}"
    );
}

#[test]
fn a_compiler_does_not_outlive_who_started_it() {
    let ci = Ci::new();
    let policy = ci.workspace().join("slow.wasm");
    fs::write(&policy, slow()).unwrap();
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let running = ci.pipefold(["component", "compile", "slow.wasm"]).spawn();
        let pid = running.id();
        let worker = || match children(pid)[..] {
            [worker] => Some(worker),
            _ => None,
        };
        let worker = until(Duration::from_secs(60), worker).unwrap();
        eventually("it has the component and compiles", || processor_time(worker) > 20);
        assert!(lives(worker) && lives(pid), "it was too quick");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
        // Half of what compiling takes.
        let ended = until(Duration::from_secs(5), || (!lives(worker)).then_some(()));
        assert!(ended.is_some(), "{signal:?}: the compiler lives on");
        let _ = running.wait();
    }
}

/// Components that do not load, and why.
fn unfit() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let with = |more: &str| guests::policy(FORWARD, "", more);
    let module = |text: &str| {
        let module = wat::parse_str(text).unwrap();
        let policy = with("");
        // A further module beside those of a whole policy.
        let mut whole = policy;
        whole.push(1);
        let mut length = module.len();
        while length >= 0x80 {
            whole.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        whole.push(length as u8);
        whole.extend(module);
        whole
    };
    let renamed = |from: &[u8], to: &[u8]| {
        let mut component = with("");
        let places: Vec<usize> = (0..component.len() - from.len())
            .filter(|at| component[*at..].starts_with(from))
            .collect();
        assert!(!places.is_empty());
        places
            .iter()
            .for_each(|at| component[*at..at + to.len()].copy_from_slice(to));
        component
    };
    vec![
        ("threads", module("(module (memory 1 1 shared))"), "threads must be enabled"),
        ("gc", module("(module (type (struct)))"), "gc"),
        ("exceptions", module("(module (tag))"), "exceptions"),
        (
            "an async hook",
            wat::parse_str(
                r#"(component
                    (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32 i32 i32) (result i32) unreachable))
                    (core instance $i (instantiate $m))
                    (func $f async (canon lift (core func $i "f") async (callback (core func $i "c"))))
                    (instance $hooks (export "step" (func $f)))
                    (export "pipefold:ci/hooks@0.2.0" (instance $hooks)))"#,
            )
            .unwrap(),
            "async",
        ),
        (
            "no hooks",
            wat::parse_str(r#"(component (instance $none) (export "pipefold:ci/hooks@0.2.0" (instance $none)))"#).unwrap(),
            "it exports pipefold:ci/hooks@0.2.0 without pipeline-start, step, pipeline-finish",
        ),
        (
            "another type",
            wat::parse_str(
                r#"(component
                    (core module $m (func (export "f") (param i32)))
                    (core instance $i (instantiate $m))
                    (func $f (param "event" u32) (canon lift (core func $i "f")))
                    (instance $hooks (export "pipeline-start" (func $f)) (export "step" (func $f)) (export "pipeline-finish" (func $f)))
                    (export "pipefold:ci/hooks@0.2.0" (instance $hooks)))"#,
            )
            .unwrap(),
            "it exports pipefold:ci/hooks@0.2.0 with another type of pipeline-start, step, pipeline-finish",
        ),
        ("nothing", wat::parse_str("(component)").unwrap(), "it does not export pipefold:ci/hooks@0.2.0"),
        (
            "a later version",
            renamed(b"pipefold:ci/hooks@0.2.0", b"pipefold:ci/hooks@0.3.0"),
            "it is made for version 0.3.0 of the contract pipefold:ci, and this pipefold speaks 0.2.0",
        ),
        (
            "an earlier version",
            renamed(b"@0.2.0", b"@0.1.0"),
            "it is made for version 0.1.0 of the contract pipefold:ci, and this pipefold speaks 0.2.0",
        ),
    ]
}

#[test]
fn inspecting_compiling_and_loading_agree() {
    let ci = Ci::new();
    let mut all = unfit();
    all.push(("a policy", guests::policy(FORWARD, "", ""), ""));
    for (what, component, why) in all {
        fs::write(ci.workspace().join("it.wasm"), component).unwrap();
        let inspected = ci.pipefold(["component", "inspect", "it.wasm", "--json"]).run();
        inspected.assert_code(0);
        let inspected = inspected.json();
        let compiled = ci.pipefold(["component", "compile", "it.wasm"]).run();
        let loaded = ci
            .pipefold(["hook", "start", "--policy", "it.wasm"])
            .stdin(r#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"c","started_at":"2025-01-31"}"#)
            .run();
        assert_eq!(inspected["loads"], why.is_empty(), "{what}: {inspected:#}");
        let code = i32::from(!why.is_empty());
        compiled.assert_code(code);
        loaded.assert_code(code);
        if !why.is_empty() {
            let obstacles = inspected["obstacles"].to_string();
            assert!(obstacles.contains(why), "{what}: {obstacles}");
            assert!(
                compiled.stderr().starts_with("pipefold: it.wasm: it does not load: "),
                "{what}: {compiled}"
            );
            assert!(compiled.stderr().contains(why), "{what}: {compiled}");
            assert!(
                loaded.stderr().starts_with("pipefold: policy it: it does not load: "),
                "{what}: {loaded}"
            );
            assert!(loaded.stderr().contains(why), "{what}: {loaded}");
        }
    }
}

#[test]
fn an_address_is_no_file() {
    let ci = Ci::new();
    let words = "is an address, and a policy is a file: pull it ahead of builds (`oras pull`, `wkg oci pull`, `curl -O`), then name FILE@sha256:HEX";
    for address in ["oci://ghcr.io/acme/redact:1", "https://acme.example/redact.wasm"] {
        for command in [
            &["component", "inspect", address][..],
            &["component", "compile", address],
            &["hook", "start", "--policy", address],
        ] {
            let output = ci.pipefold(command).stdin("{}").run();
            output.assert_code(1);
            assert!(output.stderr().contains(&format!("{address} {words}")), "{output}");
        }
    }
    let absent = ci
        .pipefold(["hook", "start", "--policy", "nope.wasm"])
        .stdin("{}")
        .run();
    assert_eq!(
        absent.stderr(),
        "pipefold: policy nope: cannot read nope.wasm: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_failure_to_compile_is_remembered_until_it_is_tried_again() {
    let ci = Ci::new();
    fs::write(ci.workspace().join("slow.wasm"), slow()).unwrap();
    let event = r#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"c","started_at":"2025-01-31"}"#;
    let asked = || {
        let hook = ci.pipefold(["hook", "start", "--policy", "slow.wasm"]).stdin(event);
        hook.address_space(LITTLE_MEMORY).run()
    };
    let compiled = || ci.pipefold(["component", "compile", "slow.wasm"]);
    let first = asked();
    first.assert_code(1);
    assert!(
        first
            .stderr()
            .starts_with("pipefold: policy slow: compiling it needs more than "),
        "{first}"
    );
    let again = asked();
    again.assert_code(1);
    let words = "pipefold: policy slow: not compiled, as that failed before: compiling it needs more than ";
    assert!(again.stderr().starts_with(words), "{again}");
    assert!(
        again
            .stderr()
            .ends_with("to try it again, run `pipefold component compile slow.wasm`\n"),
        "{again}"
    );
    // An operator's word tries it again, and on a machine with more memory it is compiled.
    let tried = compiled().address_space(LITTLE_MEMORY).run();
    assert!(
        tried
            .stderr()
            .starts_with("pipefold: slow.wasm: compiling it needs more than "),
        "{tried}"
    );
    compiled().run().assert_code(0);
    asked().assert_code(0);
}
