//! The exports of the core module: the ABI of `docs/core-module.md`.
//!
//! A host never gives a pointer: the module owns its input and its output, and says where they are. So nothing that a host passes can make it
//! read or write elsewhere.
#![allow(unsafe_code, reason = "an export has a name that other code could have, too")]

use std::sync::{Mutex, MutexGuard};

use crate::{Code, Hook, MAX_INPUT, answer, read};

/// The version of the ABI. It changes when a host of the version before would no longer work.
const VERSION: u32 = 1;

static STATE: Mutex<State> = Mutex::new(State {
    input: Input::Bytes(Vec::new()),
    output: String::new(),
});

struct State {
    input: Input,
    output: String,
}

/// The input of the next hook.
enum Input {
    Bytes(Vec<u8>),
    /// No memory was given, for this reason.
    Refused(&'static str),
}

/// The state, which no call leaves locked but one that ended in a trap. Its instance traps in all further calls.
fn state() -> MutexGuard<'static, State> {
    match STATE.try_lock() {
        Ok(state) => state,
        Err(_) => panic!("a call before this one ended in a trap"),
    }
}

/// The place of the first byte of a piece of memory.
fn place(bytes: *const u8) -> u32 {
    // Pointers have 32 bits here.
    bytes.expose_provenance() as u32
}

/// Returns the version of the ABI.
#[unsafe(export_name = "abi_version")]
extern "C" fn abi_version() -> u32 {
    VERSION
}

/// Makes room for an input of `length` bytes, all zero, and returns its place, or 0 if there is no room. The output of the last hook is gone.
#[unsafe(export_name = "input")]
extern "C" fn input(length: u32) -> u32 {
    let mut state = state();
    // Before the new one, so that both need no room together.
    *state = State {
        input: Input::Refused("was not written: there is no room for it"),
        output: String::new(),
    };
    let length = length as usize;
    if length > MAX_INPUT {
        state.input = Input::Refused(read::TOO_LARGE);
        return 0;
    }
    let mut bytes = Vec::new();
    // At least one byte, as the place of none is no memory.
    if bytes.try_reserve_exact(length.max(1)).is_err() {
        return 0;
    }
    bytes.resize(length, 0);
    let place = place(bytes.as_mut_ptr());
    state.input = Input::Bytes(bytes);
    place
}

/// Judges the notification that a run began.
#[unsafe(export_name = "start")]
extern "C" fn start() -> u32 {
    call(Hook::Start)
}

/// Judges the notification that a step began or ended.
#[unsafe(export_name = "step")]
extern "C" fn step() -> u32 {
    call(Hook::Step)
}

/// Judges all notifications of a run that ended.
#[unsafe(export_name = "finish")]
extern "C" fn finish() -> u32 {
    call(Hook::Finish)
}

/// Folds notifications of one run.
#[unsafe(export_name = "merge")]
extern "C" fn merge() -> u32 {
    call(Hook::Merge)
}

/// Returns the place of the last hook's output.
#[unsafe(export_name = "output")]
extern "C" fn output() -> u32 {
    place(state().output.as_ptr())
}

/// Returns the length of the last hook's output in bytes, 0 if there is none.
#[unsafe(export_name = "output_length")]
extern "C" fn output_length() -> u32 {
    // Far below the size of the memory.
    state().output.len() as u32
}

/// Answers the hook with the input, which is gone then, and keeps the output.
fn call(hook: Hook) -> u32 {
    let mut state = state();
    state.output = String::new();
    let input = std::mem::replace(&mut state.input, Input::Bytes(Vec::new()));
    let answer = match input {
        Input::Bytes(bytes) => answer(hook, bytes),
        Input::Refused(why) => crate::Answer::error(&format!("input {why}")),
    };
    state.output = answer.json;
    let code: Code = answer.code;
    code as u32
}
