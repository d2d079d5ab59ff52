//! Guests that do not end.

use crate::hostile::{
    asking::{Scene, each_hook, event, in_words, merge, step_within},
    isolated::{from_here, hostile},
    module::{HOLD, Module},
};
use pipefold_sandbox::{Chain, Limits, OnFailure, Policy, Question};
use std::time::Duration;

/// A guest whose `step` does not end, within the default limits.
fn step(body: &str, more: &str) -> String {
    step_of(&Module::step(body, more))
}

fn step_of(module: &Module) -> String {
    step_within(Limits::default(), module)
}

const ENDLESS: &str = "(loop (br 0)) unreachable";

/// Policies that are skipped when they fail, and that all run for ever.
fn four_that_do_not_end() -> String {
    let component = Module::step(ENDLESS, "").policy();
    let scene = Scene::with(Limits {
        chain: Duration::from_millis(600),
        ..Limits::default()
    });
    let policies = (1..=4).map(|place| {
        let policy = Policy {
            on_failure: OnFailure::Open,
            ..Policy::new(format!("guest {place}"))
        };
        scene.sandbox.policy_compiled_here(&policy, &component).unwrap()
    });
    let chain = Chain::new(policies.collect(), scene.sandbox.default_plugin().unwrap()).unwrap();
    from_here();
    let told = in_words(scene.call(Duration::from_millis(600), || chain.ask(&Question::Step(&event()))));
    // The third one, or another on a busy machine.
    told.split_once(": ").unwrap().1.into()
}

hostile! {
    an_endless_loop_in_each_hook; each_hook(Limits::default(), &Module {
        pipeline_start: ENDLESS.into(),
        step: ENDLESS.into(),
        pipeline_finish: ENDLESS.into(),
        ..Module::default()
    }) => "plugin guest: pipeline-start was stopped after 250 ms, its time limit\n\
            plugin guest: step was stopped after 250 ms, its time limit\n\
            plugin guest: pipeline-finish was stopped after 250 ms, its time limit";
    an_endless_loop_in_merge; merge(Limits::default(), ENDLESS, "") => "plugin guest: merge was stopped after 250 ms, its time limit";
    an_endless_loop_in_a_start_function; step(HOLD, "(func $f (loop (br 0))) (start $f)")
        => "plugin guest: step was stopped after 250 ms, its time limit";
    an_endless_loop_in_realloc; step_of(&Module { realloc: ENDLESS.into(), ..Module::default() })
        => "plugin guest: step was stopped after 250 ms, its time limit";
    an_endless_loop_after_the_answer; step(
        HOLD,
        r#"(func (export "cabi_post_pipefold:ci/hooks@0.2.0#step") (param i32) (loop (br 0)))"#,
    ) => "plugin guest: step was stopped after 250 ms, its time limit";
    endless_tail_calls; step("(return_call $f (i32.const 0))", "(func $f (param i32) (result i32) (return_call $f (local.get 0)))")
        => "plugin guest: step was stopped after 250 ms, its time limit";
    calls_as_many_as_a_tree_has_leaves; step(
        "(call $f (i32.const 60))",
        "(func $f (param i32) (result i32) (if (result i32) (local.get 0)
            (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0))))",
    ) => "plugin guest: step was stopped after 250 ms, its time limit";
    a_loop_of_large_fills granted 64 << 20; step(
        "(drop (memory.grow (i32.const 1022))) (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) (br 0)) unreachable",
        "",
    ) => "plugin guest: step was stopped after 250 ms, its time limit";
    a_loop_of_refused_growth; step("(loop (drop (memory.grow (i32.const 60000))) (br 0)) unreachable", "")
        => "plugin guest: step was stopped after 250 ms, its time limit";
    four_policies_that_do_not_end; four_that_do_not_end()
        => "step was stopped, as the chain of plugins had taken 600 ms, its time limit";
}
