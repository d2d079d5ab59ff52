//! Guests that exceed limits of memory.

use crate::hostile::{
    asking::{Scene, event, in_words, patient, step, step_of, step_within},
    inner::with_inner,
    isolated::{from_here, hostile},
    module::{HOLD, Module},
};
use pipefold_sandbox::{Chain, Limits, Policy, Question};

/// Grows by this number of pages one by one, touches each, and then answers `hold`.
fn pages(count: u32) -> String {
    step(
        &format!(
            "(local $i i32)
             (loop
                (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                (i32.store (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count}))))
             {HOLD}"
        ),
        "",
    )
}

/// Recurses to this depth, with some 32 bytes for each level, where calls may use this much stack.
fn recursion(stack: usize, depth: u32) -> String {
    let module = Module::step(
        &format!("(call $f (i32.const {depth})) {HOLD}"),
        "(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))",
    );
    step_within(Limits { stack, ..patient() }, &module)
}

/// A guest that calls itself for ever, where calls may use this much stack.
fn endless_recursion_on(stack: usize) -> String {
    let module = Module::step("(call $f)", "(func $f (result i32) (drop (call $f)) (i32.const 0))");
    step_within(Limits { stack, ..patient() }, &module)
}

/// The result of a policy that has this component inside.
fn inside(inner: &str) -> String {
    let component = with_inner(Module::default().policy(), inner);
    from_here();
    let scene = Scene::new();
    let policy = scene.sandbox.policy_compiled_here(&Policy::new("guest"), &component);
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return error.to_string(),
    };
    let chain = Chain::new(vec![policy], scene.sandbox.default_plugin().unwrap()).unwrap();
    from_here();
    in_words(scene.call(scene.sandbox.limits().hook, || chain.ask(&Question::Step(&event()))))
}

/// A component of this number of core instances, all of this module.
fn instances(count: usize, module: &str) -> String {
    inside(&format!(
        "(component (core module $m {module}) {})",
        "(core instance (instantiate $m))".repeat(count)
    ))
}

/// The result of a policy whose start function creates this number of resource handles.
fn handles(count: u32) -> String {
    inside(&format!(
        r#"(component
            (type $r (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func $f (local $i i32) (loop
                    (drop (call $new (i32.const 1)))
                    (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count})))))
                (start $f))
            (core instance (instantiate $m (with "" (instance (export "new" (func $new)))))))"#
    ))
}

hostile! {
    memory_up_to_the_limit granted 64 << 20; pages(1022) => "Hold";
    memory_past_the_limit granted 64 << 20; pages(1023) => "plugin guest: step reached the memory limit of 64 MiB";
    memory_past_the_limit_at_once; step("(if (i32.eq (memory.grow (i32.const 1023)) (i32.const -1)) (then unreachable)) (i32.const 0)", "")
        => "plugin guest: step reached the memory limit of 64 MiB";
    a_memory_that_begins_past_the_limit; step_of(&Module { pages: 1025, ..Module::default() })
        => "plugin guest: step reached the memory limit of 64 MiB";
    a_memory_of_4_gb; step_of(&Module { pages: 65_536, ..Module::default() })
        => "plugin guest: step reached the memory limit of 64 MiB";
    a_refused_growth_that_is_taken_well; step(&format!("(drop (memory.grow (i32.const 1023))) {HOLD}"), "") => "Hold";
    memories_that_pass_the_limit_together; step(HOLD, "(memory 512) (memory 511)")
        => "plugin guest: step reached the memory limit of 64 MiB";
    a_hundred_memories_at_most; instances(45, "(memory 1) (memory 1) (memory 1)")
        => "policy guest: step reached the limit of 100 core instances";
    a_hundred_tables_at_most; instances(45, "(table 0 funcref) (table 0 funcref) (table 0 funcref)")
        => "policy guest: step reached the limit of 100 core instances";

    a_table_that_grows_past_the_limit; step(
        "(local $i i32)
         (loop
            (drop (table.grow $t (ref.null func) (i32.const 1000)))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
         unreachable",
        "(table $t 0 funcref)",
    ) => "plugin guest: step reached the limit of 20000 table elements";
    a_table_that_begins_past_the_limit; step(HOLD, "(table 20001 funcref)")
        => "plugin guest: step reached the limit of 20000 table elements";
    tables_that_pass_the_limit_together; step(HOLD, "(table 10000 funcref) (table 10001 funcref)")
        => "plugin guest: step reached the limit of 20000 table elements";

    endless_recursion; endless_recursion_on(Limits::default().stack) => "plugin guest: step reached the stack limit of 512 KiB";
    endless_recursion_on_a_small_stack; endless_recursion_on(64 << 10) => "plugin guest: step reached the stack limit of 64 KiB";
    /// The stack limit is never above a thread's share, whatever is requested.
    endless_recursion_on_a_huge_stack; endless_recursion_on(1 << 30) => "plugin guest: step reached the stack limit of 1 MiB";
    recursion_within_the_limit; recursion(512 << 10, 8_000) => "Hold";
    recursion_past_a_small_limit; recursion(128 << 10, 8_000) => "plugin guest: step reached the stack limit of 128 KiB";
    recursion_within_a_large_limit; recursion(1 << 20, 24_000) => "Hold";
    frames_of_many_locals; step(
        "(call $f (i32.const 0))",
        &format!(
            "(func $f (param i32) (result i32) (local {}) {} (call $f (local.get 0)) {} )",
            "i64 ".repeat(2000),
            (1..=2000).map(|i| format!("(local.set {i} (i64.load (local.get 0)))")).collect::<String>(),
            (1..=2000).map(|i| format!("(i64.store (i32.const 0) (local.get {i}))")).collect::<String>(),
        ),
    ) => "plugin guest: step reached the stack limit of 512 KiB";

    eighty_core_instances; instances(80, "") => "Hold";
    a_hundred_and_one_core_instances; instances(101, "")
        => "policy guest: step reached the limit of 100 core instances";
    ten_thousand_handles; handles(10_000) => "Hold";
    ten_thousand_and_one_handles; handles(10_001) => "policy guest: step reached the limit of 10000 resource handles";
    many_globals_in_many_instances; instances(90, &"(global i64 (i64.const 0))".repeat(100_000))
        => "policy guest: it does not load: its instances have more globals, functions and segments than fit into 16 MiB";
    many_functions_in_many_instances; instances(90, &format!("(elem declare func {}) {}",
        (0..20_000).map(|i| format!("{i} ")).collect::<String>(), "(func)".repeat(20_000))) => "policy guest: it does not load: its instances have more globals, functions and segments than fit into 16 MiB";
    many_segments_in_many_instances; instances(90, &format!("(func $f) (table 1 funcref) {}",
        "(elem func $f $f $f $f $f $f $f $f $f $f)".repeat(20_000))) => "policy guest: it does not load: its instances have more globals, functions and segments than fit into 16 MiB";
}
