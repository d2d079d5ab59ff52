//! Guests in the text format: a core module with the plugin's exports, wrapped into a component as a toolchain would.

use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

#[allow(dead_code, reason = "not every test file has whole plugins")]
/// A component whose `step` has this body (WAT: one parameter, the address of the notification; the result is the address of the
/// answer) and whose other exports trap. `more` is added to the module.
pub fn guest(step: &str, more: &str) -> Vec<u8> {
    let hooks = "pipefold:ci/hooks@0.2.0";
    let module = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $next (i32.add (local.get $at) (local.get $new)))
                (local.get $at))
            {more}
            (func (export "{hooks}#pipeline-start") (param i32) (result i32) unreachable)
            (func (export "{hooks}#step") (param i32) (result i32) {step})
            (func (export "{hooks}#pipeline-finish") (param i32 i32) (result i32) unreachable)
            (func (export "pipefold:ci/merging@0.2.0#merge") (param i32 i32) (result i32) unreachable))"#
    );
    component(&module, "plugin")
}

/// A policy whose `step` has this body; `$next` is the next link's `step` (address of the notification, address for the answer). Its
/// `pipeline-start` and `pipeline-finish` pass the question on. `more` is added to the module, `imports` to its imports.
#[allow(dead_code, reason = "not every test file has policies")]
pub fn policy(step: &str, imports: &str, more: &str) -> Vec<u8> {
    let world = if imports.is_empty() {
        "policy"
    } else {
        "policy-with-host"
    };
    component(&policy_module(step, imports, more), world)
}

/// The core module of such a policy.
#[allow(dead_code, reason = "not every test file has policies")]
pub fn policy_module(step: &str, imports: &str, more: &str) -> String {
    let hooks = "pipefold:ci/hooks@0.2.0";
    format!(
        r#"(module
            (import "{hooks}" "step" (func $next (param i32 i32)))
            (import "{hooks}" "pipeline-start" (func $next_start (param i32 i32)))
            (import "{hooks}" "pipeline-finish" (func $next_finish (param i32 i32 i32)))
            {imports}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $free (i32.add (local.get $at) (local.get $new)))
                (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
                    (then (drop (memory.grow (i32.add (i32.div_u (local.get $new) (i32.const 65536)) (i32.const 1))))))
                (local.get $at))
            {more}
            (func (export "{hooks}#step") (param i32) (result i32) {step})
            (func (export "{hooks}#pipeline-start") (param i32) (result i32)
                (call $next_start (local.get 0) (i32.const 1024)) (i32.const 1024))
            (func (export "{hooks}#pipeline-finish") (param i32 i32) (result i32)
                (call $next_finish (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)))"#
    )
}

/// Wraps a core module made for a world of the contract.
pub fn component(module: &str, world: &str) -> Vec<u8> {
    component_in(module, world, StringEncoding::UTF8)
}

/// Wraps a module whose texts are in another encoding.
pub fn component_in(module: &str, world: &str, encoding: StringEncoding) -> Vec<u8> {
    let (resolve, package) = contract();
    component_of(module, world, encoding, &resolve, package)
}

/// Wraps a module made for a world of another contract.
pub fn component_of(
    module: &str,
    world: &str,
    encoding: StringEncoding,
    resolve: &Resolve,
    package: PackageId,
) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, resolve, world, encoding).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// The contract, to which a test may add packages of its own.
pub fn contract() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    // The tests of another package, elsewhere in the workspace, use this file too.
    let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join("wit"));
    let (package, _) = resolve
        .push_dir(wit.into_iter().find(|dir| dir.is_dir()).unwrap())
        .unwrap();
    (resolve, package)
}
