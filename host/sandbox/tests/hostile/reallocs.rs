//! Guests that return wrong addresses when the host requests memory.

use crate::hostile::{
    asking::{Scene, in_words, largest_history, step_of},
    isolated::{from_here, hostile},
    module::Module,
};
use pipefold_sandbox::Question;

fn realloc(body: &str) -> String {
    step_of(&Module {
        realloc: body.into(),
        ..Module::default()
    })
}

/// The largest history, for a guest that returns the same address for all of it.
fn history_over_itself() -> String {
    let component = Module {
        realloc: "(i32.const 65536)".into(),
        pages: 64,
        ..Module::default()
    }
    .policy();
    let history = largest_history();
    let scene = Scene::new();
    let chain = scene.chain(&[component]);
    from_here();
    in_words(scene.call(scene.sandbox.limits().hook, || {
        chain.ask(&Question::PipelineFinish(&history))
    }))
}

hostile! {
    /// Address 0 is valid: the memory there is the guest's own.
    null; realloc("(i32.const 0)") => "Hold";
    past_the_end; realloc("(i32.const -16)")
        => "plugin guest: step gave a bad answer: realloc return: beyond end of memory";
    over_the_end; realloc("(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))")
        => "plugin guest: step gave a bad answer: realloc return: beyond end of memory";
    not_aligned; realloc("(i32.const 65537)")
        => "plugin guest: step gave a bad answer: realloc return: result not aligned";
    always_the_same; realloc("(i32.const 65536)") => "Hold";
    over_its_own_answer; realloc("(i32.const 1024)") => "Hold";
    all_memory_at_each_call; realloc(
        "(if (i32.eq (memory.grow (i32.const 512)) (i32.const -1)) (then unreachable)) (i32.const 65536)",
    ) => "plugin guest: step reached the memory limit of 64 MiB";
    a_whole_history_to_one_place; history_over_itself() => "Hold";
}
