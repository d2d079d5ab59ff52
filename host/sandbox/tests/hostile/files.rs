//! Files that are not plugins, or more than one.

use crate::hostile::{
    asking::{Scene, event, step},
    inner::{leb128, with_inner},
    isolated::{from_here, hostile},
    module::{HOLD, Module},
};
use pipefold_sandbox::{Policy, Verdict};
use wasmparser::{Parser, Payload};

/// The error of loading a file as a plugin and as a policy, which must be the same except for the role.
fn load(component: &[u8]) -> String {
    from_here();
    let scene = Scene::new();
    let as_plugin = scene
        .sandbox
        .compile_here("guest", component)
        .err()
        .map(|e| e.to_string());
    let as_policy = as_policy_in(&scene, component);
    let as_plugin = as_plugin.map(|error| error.replace("plugin guest", "policy guest"));
    assert_eq!(as_plugin.as_deref().unwrap_or("loads"), as_policy);
    as_policy
}

fn as_policy_in(scene: &Scene, component: &[u8]) -> String {
    let loaded = scene.sandbox.policy_compiled_here(&Policy::new("guest"), component);
    scene.call(scene.sandbox.limits().hook, || ());
    loaded.err().map_or_else(|| "loads".into(), |error| error.to_string())
}

/// The error of loading a file as a policy.
fn load_policy(component: &[u8]) -> String {
    from_here();
    as_policy_in(&Scene::new(), component)
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap()
}

/// A component that exports one interface, with this instance.
fn exports(interface: &str, instance: &str) -> String {
    load(&text(&format!(
        r#"(component {instance} (export "{interface}" (instance 0)))"#
    )))
}

/// An interface with functions named as the hooks, of this type.
fn hooks_of(signature: &str, lowered: &str) -> String {
    exports(
        "pipefold:ci/hooks@0.2.0",
        &format!(
            r#"(core module $m (func (export "f") {lowered}))
            (core instance $i (instantiate $m))
            (func $f {signature} (canon lift (core func $i "f")))
            (instance (export "pipeline-start" (func $f)) (export "step" (func $f)) (export "pipeline-finish" (func $f)))"#
        ),
    )
}

/// The end of the last section that a plugin needs: custom sections follow.
fn sections_end(component: &[u8]) -> usize {
    let mut depth = 0;
    let mut end = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(section) if depth == 1 => end = section.range().end,
            _ => {}
        }
    }
    end
}

/// Every prefix of a small file, and every 997th of the default component: none loads, and none ends the process.
fn truncated() -> String {
    let small = Module::default().plugin();
    let large = include_bytes!("../../component/default.wasm");
    from_here();
    let scene = Scene::new();
    let prefixes = (0..sections_end(&small)).map(|end| &small[..end]);
    let prefixes = prefixes.chain((1..sections_end(large)).step_by(997).map(|end| &large[..end]));
    for prefix in prefixes {
        if let Ok(plugin) = scene.sandbox.compile_here("guest", prefix) {
            return format!("{} bytes load: {:?}", prefix.len(), plugin.step(&event()));
        }
    }
    assert_eq!(scene.plugin(&small).step(&event()).unwrap(), Verdict::Hold);
    "none loads".into()
}

/// A file of this number of bytes: valid, padded by a custom section.
fn padded(size: usize) -> Vec<u8> {
    let mut bytes = Module::default().policy();
    let content = size - bytes.len() - 5;
    bytes.push(0);
    // Four bytes of length, the largest form that a file of this size needs.
    let length = leb128(content);
    assert_eq!(length.len(), 4);
    bytes.extend(length);
    bytes.extend([1, b'x']);
    bytes.resize(size, 0);
    bytes
}

/// A type nested to this depth.
fn deep(levels: usize) -> String {
    let types: String = (1..levels)
        .map(|level| format!("(type (list {}))", level - 1))
        .collect();
    load(&text(&format!("(component (type (list u8)) {types})")))
}

/// Types that double their size this number of times.
fn doubling(times: usize) -> String {
    let types: String = (1..times)
        .map(|t| format!("(type (tuple {} {}))", t - 1, t - 1))
        .collect();
    load(&text(&format!("(component (type (tuple u8 u8)) {types})")))
}

/// Components within components.
fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = text("(component)");
    for _ in 0..levels {
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        outer.extend(leb128(bytes.len()));
        outer.extend(bytes);
        bytes = outer;
    }
    bytes
}

/// Ten components, each of which has ten instances of the one before.
fn multiplied() -> Vec<u8> {
    let components: String = (1..10)
        .map(|level| {
            let instances = format!("(instance (instantiate $c{}))", level - 1).repeat(10);
            format!("(component $c{level} {instances})")
        })
        .collect();
    text(&format!(
        "(component (component $c0 (core module $m) (core instance (instantiate $m))) {components})"
    ))
}

fn imports(names: impl Iterator<Item = String>) -> String {
    let imports: String = names.map(|name| format!(r#"(import "{name}" (instance))"#)).collect();
    load_policy(&text(&format!("(component {imports})")))
}

/// Begin and end of a long message, and its length.
fn ends(message: &str) -> String {
    let all: Vec<char> = message.chars().collect();
    let (begin, end): (String, String) = (all[..60].iter().collect(), all[all.len() - 30..].iter().collect());
    format!("{begin}[…]{end}: {} characters", all.len())
}

/// A policy that also imports functions of a WASI interface.
fn wasi(interface: &str) -> String {
    imports([interface.to_owned()].into_iter())
}

hostile! {
    empty; load(b"") => "policy guest: it does not load: the file is empty";
    no_webassembly; load(b"#!/bin/sh\nrm -rf /\n")
        => "policy guest: it does not load: not a WebAssembly binary (wrong magic number); compile the text format first";
    only_a_header; load(b"\0asm\x0d\0\x01\0")
        => "policy guest: it does not load: it does not export pipefold:ci/hooks@0.2.0";
    a_core_module; load(&text("(module)"))
        => "policy guest: it does not load: a core module, not a component; make one of it: `cargo install wasm-tools`, then `wasm-tools component new`";
    a_text_file; load(b"(component)")
        => "policy guest: it does not load: not a WebAssembly binary (wrong magic number); compile the text format first";
    another_version; load(b"\0asm\x0e\0\x01\0")
        => "policy guest: it does not load: the file is damaged: unknown binary version:    0x1000e (at offset 0x4)";
    truncated_files; truncated() => "none loads";
    a_file_of_32_mib; load_policy(&padded(32 << 20)) => "loads";
    a_file_of_33_mb; load_policy(&padded((32 << 20) + 1))
        => "policy guest: larger than 33554432 bytes, the limit for a component";
    ten_thousand_functions; {
        let functions: String = (0..10_000).map(|i| format!("(func (export \"f{i}\") (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))")).collect();
        step(HOLD, &functions)
    } => "Hold";
    types_a_hundred_deep; deep(90)
        => "policy guest: it does not load: it does not export pipefold:ci/hooks@0.2.0";
    types_a_hundred_thousand_deep; deep(100_000)
        => "policy guest: it does not load: type nesting is too deep (at offset 0xf7)";
    types_that_double; doubling(40)
        => "policy guest: it does not load: effective type size exceeds the limit of 1000000 (at offset 0x54)";
    components_a_thousand_deep; load(&nested(1000))
        => "policy guest: it does not load: it has components within components, more than 30 deep";
    components_ten_thousand_deep; load(&nested(10_000))
        => "policy guest: it does not load: it has components within components, more than 30 deep";
    components_thirty_deep; load(&nested(29))
        => "policy guest: it does not load: it does not export pipefold:ci/hooks@0.2.0";
    instances_of_instances_of_instances; load(&multiplied())
        => "policy guest: it does not load: its instances have more globals, functions and segments than fit into 16 MiB";
    a_module_from_elsewhere; load(&text(
        r#"(component (import "m" (core module $m)) (core instance (instantiate $m)))"#,
    ))
        => "policy guest: it imports m, which is not granted; nothing provides it";
    inside_another_one; load_policy(&with_inner(Module::default().policy(), "(component (component) (component))"))
        => "loads";

    nothing_but_an_empty_interface; exports("pipefold:ci/hooks@0.2.0", "(instance)")
        => "policy guest: it does not load: it exports pipefold:ci/hooks@0.2.0 without pipeline-start, step, pipeline-finish";
    another_package; exports("pipefold:ci/hooks@0.1.0", "(instance)")
        => "policy guest: it does not load: it is made for version 0.1.0 of the contract pipefold:ci, and this pipefold speaks 0.2.0; build it with the wit of that version";
    a_function_of_another_type; hooks_of("(param \"event\" u32) (result u32)", "(param i32) (result i32) (i32.const 0)")
        => "policy guest: it does not load: it exports pipefold:ci/hooks@0.2.0 with another type of pipeline-start, step, pipeline-finish";
    a_function_without_a_result; hooks_of("", "")
        => "policy guest: it does not load: it exports pipefold:ci/hooks@0.2.0 with another type of pipeline-start, step, pipeline-finish";
    a_type_in_place_of_a_function; exports("pipefold:ci/hooks@0.2.0", r#"(type $t (list u8)) (instance (export "pipeline-start" (type $t)))"#)
        => "policy guest: it does not load: it exports pipefold:ci/hooks@0.2.0 without pipeline-start, step, pipeline-finish";

    wasi_files; wasi("wasi:filesystem/preopens@0.2.0")
        => "policy guest: it imports wasi:filesystem/preopens@0.2.0, which is not granted; grant `wasi` to allow it, which has no files, or `dir`, which has those of one directory";
    wasi_sockets; wasi("wasi:sockets/tcp@0.2.0")
        => "policy guest: it imports wasi:sockets/tcp@0.2.0, which is not granted; grant `wasi` to allow it, which has no network";
    wasi_clock; wasi("wasi:clocks/wall-clock@0.2.0")
        => "policy guest: it imports wasi:clocks/wall-clock@0.2.0, which is not granted; grant `wasi` to allow it, whose clocks stand still, or `clock`, whose clocks run";
    wasi_environment; wasi("wasi:cli/environment@0.2.0")
        => "policy guest: it imports wasi:cli/environment@0.2.0, which is not granted; grant `wasi` to allow it, which has no environment, no arguments, no input and no output";
    wasi_random; wasi("wasi:random/random@0.2.0")
        => "policy guest: it imports wasi:random/random@0.2.0, which is not granted; grant `wasi` to allow it, with the same bytes in every call, or `random`, with unpredictable ones";
    wasi_http; wasi("wasi:http/outgoing-handler@0.2.0")
        => "policy guest: it imports wasi:http/outgoing-handler@0.2.0, which is not granted; no grant of this host provides it";
    another_interface; imports(["evil:host/shell@1.0.0".to_owned()].into_iter())
        => "policy guest: it imports evil:host/shell@1.0.0, which is not granted; nothing provides it";
    a_thousand_imports; ends(&imports((0..1000).map(|i| format!("evil:host/shell{i}"))))
        => "policy guest: it imports evil:host/shell0, which is not gran[…]hich is not granted; nothing …: 1014 characters";
    an_import_with_a_name_of_50_kb; ends(&imports([format!("evil:host/{}", "a".repeat(50_000))].into_iter()))
        => "policy guest: it imports evil:host/aaaaaaaaaaaaaaaaaaaaaaaaa[…]aaaaaaaaaaaaaaaaaaaaaaaaaaaaa…: 1014 characters";
    an_import_that_clears_the_screen; load(&text(r#"(component (import "\1b[2J\0aforged" (func)))"#))
        => "policy guest: it imports \\u{1b}[2J\\nforged, which is not granted; nothing provides it";
}
