//! Tests of the checks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn wat(component: &str) -> Vec<String> {
    match types(&wat::parse_str(component).unwrap(), Face::Hooks, true) {
        Ok(obstacles) => obstacles,
        Err(error) => vec![one_line(&error.to_string())],
    }
}

fn by_name(imports: &[&str], exports: &[&str]) -> Fit {
    super::by_name(Face::of(exports), imports, exports)
}

#[test]
fn a_plugin_needs_nothing_and_merges() {
    let fit = examine(builtin::DEFAULT.bytes, &["pipefold:ci/types@0.2.0"], &[HOOKS, MERGING]);
    assert_eq!(fit.obstacles, [""; 0]);
    assert_eq!((fit.role, fit.loads, fit.grants.len()), (Role::Plugin, true, 0));
    assert_eq!(fit.wit_versions, ["0.2.0"]);
}

#[cfg(feature = "sources")]
#[test]
fn a_source_imports_nothing() {
    let fit = examine(
        builtin::SOURCES.bytes,
        &["pipefold:ci/types@0.2.0"],
        &["pipefold:ci/types@0.2.0", TRANSLATING],
    );
    assert_eq!(fit.obstacles, [""; 0]);
    assert_eq!((fit.role, fit.loads, fit.grants.len()), (Role::Source, true, 0));
    let told = |imports: &[&str], exports: &[&str]| {
        let fit = by_name(imports, exports);
        assert_eq!(fit.role, Role::Source);
        fit.obstacles.join("; ")
    };
    assert_eq!(
        told(&["pipefold:ci/log@0.2.0"], &[TRANSLATING]),
        "it imports pipefold:ci/log@0.2.0; a source is granted nothing, so build it without imports"
    );
    assert_eq!(
        told(&["wasi:cli/exit@0.2.3", HOOKS, "a:b/c"], &[TRANSLATING]),
        "it imports wasi:cli/exit@0.2.3 and 2 more; a source is granted nothing, so build it without imports"
    );
    assert!(told(&[], &["pipefold:ci/translating@0.1.0"]).starts_with("it is made for version 0.1.0 of"));
    // With hooks it is a policy, and can be loaded as either.
    assert_eq!(by_name(&[], &[HOOKS, TRANSLATING]).role, Role::Policy);
    let as_source = super::by_name(Face::Translating, &[], &[HOOKS, TRANSLATING]);
    assert_eq!(as_source.obstacles, [""; 0]);
    let as_source = super::by_name(Face::Translating, &[], &[HOOKS]);
    assert_eq!(
        as_source.obstacles,
        ["it does not export pipefold:ci/translating@0.2.0"]
    );
}

#[test]
fn a_policy_has_a_next_plugin_or_grants_or_does_not_merge() {
    assert_eq!(by_name(&[HOOKS], &[HOOKS, MERGING]).role, Role::Policy);
    assert_eq!(by_name(&[], &[HOOKS]).role, Role::Policy);
    let granted = by_name(
        &[HOOKS, "pipefold:ci/log@0.2.0", "pipefold:ci/config@0.2.0"],
        &[HOOKS, MERGING],
    );
    assert_eq!(
        (granted.role, granted.loads, granted.grants),
        (Role::Policy, true, vec!["log", "config"])
    );
}

#[test]
fn unknown_imports_are_named() {
    let fit = by_name(&["elsewhere:x/y@1.0.0"], &["elsewhere:x/z@1.0.0"]);
    assert!(!fit.loads);
    assert_eq!(
        fit.obstacles,
        [
            "it imports elsewhere:x/y@1.0.0; nothing provides it",
            "it does not export pipefold:ci/hooks@0.2.0"
        ]
    );
}

#[test]
fn another_version_of_the_contract_is_named_beside_ours() {
    let message = |found: &str| {
        format!(
            "it is made for version {found} of the contract pipefold:ci, and this pipefold speaks 0.2.0; \
             build it with the wit of that version"
        )
    };
    let export = |name: &str| by_name(&[], &[name]).obstacles;
    assert_eq!(export("pipefold:ci/hooks@0.1.0"), [message("0.1.0")]);
    assert_eq!(export("pipefold:ci/hooks@9.0.0"), [message("9.0.0")]);
    let both = by_name(
        &["pipefold:ci/hooks@0.1.0", "pipefold:ci/log@0.3.0"],
        &["pipefold:ci/hooks@0.1.0"],
    );
    assert_eq!(both.obstacles, [message("0.1.0 and 0.3.0")]);
    assert_eq!(
        by_name(&["pipefold:ci/hooks@0.1.0"], &[HOOKS]).obstacles,
        [message("0.1.0")]
    );
}

#[test]
fn unsupported_features_are_found_before_compiling() {
    let refused = |module: &str, reason: &str| {
        let found = wat(&format!("(component (core module {module}))"));
        assert!(found.len() == 1 && found[0].contains(reason), "{module}: {found:?}");
    };
    refused("(memory 1 1 shared)", "threads must be enabled");
    refused(
        "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        "threads support is not enabled",
    );
    refused("(type (struct))", "gc");
    refused("(tag)", "exceptions");
    let lifted = wat(
        r#"(component (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func (export "f") async (canon lift (core func $i "f") async (callback (core func $i "c")))))"#,
    );
    assert!(lifted[0].contains("async"), "{lifted:?}");
    // What is fine: SIMD, tail calls, 64-bit memories.
    assert!(
        types(
            &wat::parse_str(
                "(component (core module (memory i64 1) (func (result v128) (v128.const i64x2 0 0)) (func (return_call 1))))"
            )
            .unwrap(),
            Face::Hooks,
            false
        )
        .is_ok()
    );
}
