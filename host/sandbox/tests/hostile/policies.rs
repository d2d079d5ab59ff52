//! Policies that misuse the next plugin, or their grants.

use crate::hostile::{
    asking::{Scene, event, in_words, largest_history, patient},
    isolated::{from_here, hostile},
    module::{HOLD, Module},
};
use pipefold_sandbox::{Chain, Grants, Limits, LogLevel, Policy, Question};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const FORWARD: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";

/// The result of `step` of a chain of this number of equal policies.
fn step_in_a_line(count: usize, module: &Module) -> String {
    let components = vec![module.policy(); count];
    let scene = Scene::new();
    let chain = scene.chain(&components);
    from_here();
    in_words(scene.call(scene.sandbox.limits().chain, || chain.ask(&Question::Step(&event()))))
}

fn policy(step: &str, more: &str) -> String {
    step_in_a_line(1, &Module::step(step, more))
}

/// The largest history through a chain of policies that pass it on this number of times each, within this time: on a busy machine a debug
/// build takes longer than the limit of one hook, which is not tested here.
fn history_in_a_line(count: usize, times: usize, chain: Duration) -> String {
    let body = "(call $next_finish (local.get 0) (local.get 1) (i32.const 1024))".repeat(times);
    let module = Module {
        pipeline_finish: format!("{body} (i32.const 1024)"),
        ..Module::default()
    };
    let components = vec![module.policy(); count];
    let history = largest_history();
    let scene = Scene::with(Limits { chain, ..patient() });
    let line = scene.chain(&components);
    from_here();
    match scene.call(chain, || line.ask(&Question::PipelineFinish(&history))) {
        Ok(_) => "a verdict".into(),
        // The link that runs when the time is up varies.
        Err(error) => error.to_string().split_once(": ").unwrap().1.into(),
    }
}

/// Passes on an invented history: this number of notifications, all over the same zeroed bytes.
fn history_made_up(notifications: u32) -> String {
    policy(
        &format!(
            "(drop (memory.grow (i32.const 1022)))
             (call $next_finish (i32.const 1048576) (i32.const {notifications}) (i32.const 1024)) (i32.const 1024)"
        ),
        "",
    )
}

/// Calls itself to this depth before it calls the next plugin.
fn dive(depth: u32) -> Module {
    Module::step(
        &format!("(call $dive (local.get 0) (i32.const {depth}))"),
        "(func $dive (param $event i32) (param $left i32) (result i32)
            (if (result i32) (local.get $left)
                (then (call $dive (local.get $event) (i32.sub (local.get $left) (i32.const 1))))
                (else (call $next (local.get $event) (i32.const 1024)) (i32.const 1024))))",
    )
}

const LOG: &str = r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#;
const CONFIG: &str = r#"(import "pipefold:ci/config@0.2.0" "get" (func $get (param i32 i32 i32)))"#;

/// The result of a policy with both grants.
fn granted(imports: &str, step: &str) -> String {
    let (told, lines, bytes) = logged(Limits::default(), imports, step);
    assert!(lines <= 51 && bytes <= 51 << 10, "{lines} lines of {bytes} bytes");
    told
}

/// The result of such a policy, and the lines and bytes that it could log.
fn logged(limits: Limits, imports: &str, step: &str) -> (String, usize, usize) {
    let component = Module {
        imports: imports.into(),
        ..Module::step(step, "")
    }
    .policy();
    let scene = Scene::with(limits.clone());
    let written = Arc::new(Mutex::new((0, 0)));
    let sink = Arc::clone(&written);
    let policy = Policy {
        limits,
        grants: Grants {
            log: Some(Arc::new(move |_: &str, _: LogLevel, line: &str| {
                let mut written = sink.lock().unwrap();
                *written = (written.0 + 1, written.1 + line.len());
            })),
            config: Some(Arc::default()),
            ..Grants::default()
        },
        ..Policy::new("guest")
    };
    let link = scene.sandbox.policy_compiled_here(&policy, &component).unwrap();
    let chain = Chain::new(vec![link], scene.sandbox.default_plugin().unwrap()).unwrap();
    from_here();
    let told = in_words(scene.call(scene.sandbox.limits().hook, || chain.ask(&Question::Step(&event()))));
    let (lines, bytes) = *written.lock().unwrap();
    (told, lines, bytes)
}

hostile! {
    four_calls_of_the_next; policy(&format!("{} (i32.const 1024)", "(call $next (local.get 0) (i32.const 1024))".repeat(4)), "")
        => "Hold";
    a_thousand_calls_of_the_next; policy(
        "(local $i i32)
         (loop
            (call $next (local.get 0) (i32.const 1024))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
         (i32.const 1024)",
        "",
    ) => "policy guest: step reached the limit of 4 calls of the next plugin";
    the_next_from_deep_down; step_in_a_line(4, &dive(8_000)) => "Hold";
    the_next_from_too_deep_down; step_in_a_line(4, &dive(1_000_000))
        => "policy guest 1: step reached the stack limit of 512 KiB";
    the_next_as_a_start_function; policy(HOLD, "(func $f (call $next (i32.const 0) (i32.const 1024))) (start $f)")
        => "policy guest: step crashed: wasm trap: uninitialized element";
    the_next_from_realloc; step_in_a_line(1, &Module {
        realloc: "(call $next (i32.const 0) (i32.const 1024)) (i32.const 65536)".into(),
        ..Module::default()
    }) => "policy guest: step crashed: wasm trap: cannot leave component instance";
    the_next_after_the_answer; policy(
        HOLD,
        r#"(func (export "cabi_post_pipefold:ci/hooks@0.2.0#step") (param i32) (call $next (i32.const 0) (i32.const 1024)))"#,
    ) => "policy guest: step crashed: wasm trap: cannot leave component instance";
    a_question_past_the_end; policy("(call $next (i32.const -16) (i32.const 1024)) (i32.const 1024)", "")
        => "policy guest: step gave a bad answer: pointer out of bounds";
    an_answer_wanted_past_the_end; policy("(call $next (local.get 0) (i32.const -16)) (i32.const 1024)", "")
        => "policy guest: step gave a bad answer: pointer out of bounds";
    a_question_that_is_no_utf8; policy(&format!("(i32.store8 (i32.load offset=28 (local.get 0)) (i32.const 255)) {FORWARD}"), "")
        => "policy guest: step gave a bad answer: invalid utf-8 sequence of 1 bytes from index 0";
    a_question_about_another_run; policy(&format!("(i32.store8 (i32.load offset=28 (local.get 0)) (i32.const 120)) {FORWARD}"), "")
        => "Hold";

    the_largest_history granted 128 << 20; history_in_a_line(1, 1, Duration::from_secs(60)) => "a verdict";
    the_largest_history_through_four granted 320 << 20; history_in_a_line(4, 1, Duration::from_secs(60)) => "a verdict";
    the_largest_history_four_times_through_four granted 320 << 20; history_in_a_line(4, 4, Duration::from_secs(1))
        => "pipeline-finish was stopped, as the chain of plugins had taken 1000 ms, its time limit";
    a_history_of_80000_made_up granted 128 << 20; history_made_up(80_000)
        => "policy guest: step gave a bad answer: it refuses what the rules accept: history: 80000 notifications; at most 10000 a run are allowed: send fewer steps";
    a_history_of_a_million_made_up granted 64 << 20; history_made_up(300_000)
        => "policy guest: step reached the limit of 32 MiB that may be handed to the host in one call";

    a_flood_of_lines; format!("{:?}", logged(patient(), LOG, &format!("(local $i i32)
        (loop
            (call $log (i32.const 2) (i32.const 4096) (i32.const 60000))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
        {HOLD}"))) => "(\"Hold\", 51, 51194)";
    lines_without_end granted 64 << 20; granted(LOG, "
        (drop (memory.grow (i32.const 1000)))
        (loop (call $log (i32.const 2) (i32.const 1048576) (i32.const 33000000)) (br 0)) unreachable") => "policy guest: step was stopped after 250 ms, its time limit";
    a_line_of_60_mib; granted(LOG, "
        (drop (memory.grow (i32.const 1000)))
        (call $log (i32.const 2) (i32.const 4096) (i32.const 62914560)) unreachable") => "policy guest: step reached the limit of 32 MiB that may be handed to the host in one call";
    a_level_that_does_not_exist; granted(LOG, "(call $log (i32.const 3) (i32.const 4096) (i32.const 1)) unreachable")
        => "policy guest: step gave a bad answer: unexpected discriminant: 3";
    a_key_past_the_end; granted(CONFIG, "(call $get (i32.const -1) (i32.const 10) (i32.const 1024)) unreachable")
        => "policy guest: step gave a bad answer: string pointer/length out of bounds of memory";
    keys_without_end granted 64 << 20; granted(CONFIG, "
        (drop (memory.grow (i32.const 1000)))
        (loop (call $get (i32.const 1048576) (i32.const 33000000) (i32.const 1024)) (br 0)) unreachable") => "policy guest: step was stopped after 250 ms, its time limit";
}
