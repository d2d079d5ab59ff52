//! Guests that crash.

use crate::hostile::{
    asking::{each_hook, merge, patient, step, step_of},
    isolated::hostile,
    module::{HOLD, Module},
};

const TRAP: &str = "unreachable";

hostile! {
    a_trap_in_each_hook; each_hook(patient(), &Module {
        pipeline_start: TRAP.into(),
        step: TRAP.into(),
        pipeline_finish: TRAP.into(),
        ..Module::default()
    }) => "plugin guest: pipeline-start crashed: wasm trap: wasm `unreachable` instruction executed\n\
            plugin guest: step crashed: wasm trap: wasm `unreachable` instruction executed\n\
            plugin guest: pipeline-finish crashed: wasm trap: wasm `unreachable` instruction executed";
    a_trap_in_merge; merge(patient(), TRAP, "") => "plugin guest: merge crashed: wasm trap: wasm `unreachable` instruction executed";
    a_trap_in_a_start_function; step(HOLD, "(func $f unreachable) (start $f)")
        => "plugin guest: step crashed: wasm trap: wasm `unreachable` instruction executed";
    a_trap_in_realloc; step_of(&Module { realloc: TRAP.into(), ..Module::default() })
        => "plugin guest: step crashed: wasm trap: wasm `unreachable` instruction executed";
    a_trap_after_the_answer; step(
        HOLD,
        r#"(func (export "cabi_post_pipefold:ci/hooks@0.2.0#step") (param i32) unreachable)"#,
    ) => "plugin guest: step crashed: wasm trap: wasm `unreachable` instruction executed";
    a_division_by_zero; step("(i32.div_u (i32.const 1) (i32.const 0))", "")
        => "plugin guest: step crashed: wasm trap: integer divide by zero";
    a_read_past_the_end; step("(i32.load (i32.const -4))", "")
        => "plugin guest: step crashed: wasm trap: out of bounds memory access";
    a_call_of_nothing; step("(call_indirect (type $f) (i32.const 0))", "(type $f (func (result i32))) (table 1 funcref)")
        => "plugin guest: step crashed: wasm trap: uninitialized element";
    a_data_segment_past_the_end; step(HOLD, r#"(data (i32.const 131072) "x")"#)
        => "plugin guest: step crashed: wasm trap: out of bounds memory access";
    an_element_segment_past_the_end; step(HOLD, "(table 1 funcref) (func $f) (elem (i32.const 1) $f)")
        => "plugin guest: step crashed: wasm trap: undefined element: out of bounds table access";
}
