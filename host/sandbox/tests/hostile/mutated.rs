//! Valid components with changed bytes, and answers of random bytes.

use crate::hostile::{
    asking::{Scene, event},
    module::Module,
};
use pipefold_sandbox::{Chain, Limits, Policy, Question};
use proptest::{collection::vec, prelude::*, test_runner::FileFailurePersistence};
use std::{fmt::Write, sync::LazyLock, time::Duration};

/// The time limit of a hook. Mutated guests often loop: a short limit keeps the test short.
static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    Scene::with(Limits {
        hook: Duration::from_millis(30),
        ..Limits::default()
    })
});
/// A policy that calls the next plugin: it has every kind of section that toolchains write.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    Module::step(
        "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)",
        "(table 3 funcref) (elem (i32.const 1) $realloc)",
    )
    .policy()
});

/// One change at a place, which is counted from the start and wraps around.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Delete(usize, usize),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<usize>;
    prop_oneof![
        (place(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1..16_usize).prop_map(|(at, count)| Change::Delete(at, count)),
        (place(), place(), 1..16_usize).prop_map(|(from, to, count)| Change::Copy(from, to, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len();
    let range = |at: usize, count: usize| at % length..(at % length + count).min(length);
    match change {
        Change::Flip(at, bit) => bytes[at % length] ^= 1 << bit,
        Change::Set(at, byte) => bytes[at % length] = *byte,
        Change::Insert(at, new) => {
            bytes.splice(at % length..at % length, new.iter().copied());
        }
        Change::Delete(at, count) => {
            bytes.drain(range(*at, *count));
        }
        Change::Copy(from, to, count) => {
            let copy = bytes[range(*from, *count)].to_vec();
            bytes.splice(to % length..to % length, copy);
        }
    }
}

/// Loads and calls; both must return, with any result.
fn survives(bytes: &[u8]) {
    if let Ok(plugin) = SCENE.sandbox.compile_here("guest", bytes) {
        let _ = SCENE.hook(|| plugin.step(&event()));
        let _ = SCENE.hook(|| plugin.pipeline_finish(&[event()]));
    }
    if let Ok(link) = SCENE.sandbox.policy_compiled_here(&Policy::new("guest"), bytes) {
        let chain = Chain::new(vec![link], SCENE.sandbox.default_plugin().unwrap()).unwrap();
        let _ = SCENE.hook(|| chain.ask(&Question::Step(&event())));
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(160))]
    #[test]
    fn a_mutated_policy_is_an_error_or_is_held_to_its_limits(changes in vec(change(), 1..6)) {
        let mut bytes = SMALL.clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        survives(&bytes);
    }
}

proptest! {
    #![proptest_config(config(24))]
    #[test]
    fn a_mutated_default_component_is_an_error_or_is_held_to_its_limits(changes in vec(change(), 1..3)) {
        let mut bytes = include_bytes!("../../component/default.wasm").to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        survives(&bytes);
    }
}

/// A plugin that answers with the bytes that it finds in its notification's source_url, four bits a byte.
static ECHO: LazyLock<pipefold_sandbox::Plugin> = LazyLock::new(|| {
    let step = "(local $i i32) (local $text i32) (local.set $text (i32.load offset=116 (local.get 0)))
        (loop
            (i32.store8 (i32.add (i32.const 1024) (local.get $i)) (i32.or
                (i32.shl (i32.and (i32.load8_u (local.get $text)) (i32.const 15)) (i32.const 4))
                (i32.and (i32.load8_u offset=1 (local.get $text)) (i32.const 15))))
            (local.set $text (i32.add (local.get $text) (i32.const 2)))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
        (i32.const 1024)";
    SCENE.plugin(&Module::step(step, "").plugin())
});

/// Small numbers are what discriminants, addresses and lengths are made of: with uniform bytes every answer would fail at the first one.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0_u8), 3 => 0..9_u8, 1 => any::<u8>()]
}

proptest! {
    #![proptest_config(config(2000))]
    #[test]
    fn an_answer_of_random_bytes_is_a_value_or_an_error(bytes in vec(byte(), 256)) {
        // Letters whose low four bits are the digits: `@` is 0.
        let mut text = String::new();
        for byte in &bytes {
            let _ = write!(text, "{}{}", char::from(0x40 | byte >> 4), char::from(0x40 | byte & 15));
        }
        let mut event = event();
        event.source_url = Some(text);
        let _ = ECHO.step(&event);
    }
}
