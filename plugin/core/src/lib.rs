//! The rules as a core WebAssembly module, for hosts without components: JSON in and out, in the forms of `pipefold hook`.
//!
//! Built for `wasm32-unknown-unknown` it has the exports of `docs/core-module.md`, and no import. Built natively, [`MODULE`] is that module,
//! and [`answer`] is the same without it:
//!
//! ```
//! use pipefold_core::{Code, Hook, answer};
//!
//! let step = br#"{"pipeline_name":"build","pipeline_source":"my-ci","reference_id":"1","step":"lint"}"#.to_vec();
//! let answer = answer(Hook::Step, step);
//! assert_eq!((answer.code, answer.json.as_str()), (Code::Verdict, r#"{"verdict":"hold"}"#));
//! ```
//!
//! - `forms`: the answers as JSON.
//! - `read`, `nearest`, `safe`: files of `pipefold hook`.
//! - `abi`: the exports of the module.
#![warn(missing_docs)]

#[cfg(target_family = "wasm")]
mod abi;
mod forms;
#[path = "../../../host/reporter/src/source/nearest.rs"]
mod nearest;
#[path = "../../../host/cli/src/commands/hook/read.rs"]
mod read;
#[path = "../../../host/sandbox/src/foreign/json.rs"]
mod safe;

use forms::Form;
use nearest::nearest;
use pipefold_plugin::{Attribute, Notification, Violation};
use serde::Serialize;

/// The core module.
#[cfg(not(target_family = "wasm"))]
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pipefold_core.wasm"));

/// The most bytes of an input.
pub const MAX_INPUT: usize = read::MAX_INPUT;

/// The question to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// About the notification that a run began.
    Start,
    /// About the notification that a step began or ended.
    Step,
    /// About all notifications of a run that ended.
    Finish,
    /// About notifications of one run: DX's rule by itself.
    Merge,
}

/// The kind of an answer: the exit codes of `pipefold hook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// A verdict, or the report of a merge.
    Verdict = 0,
    /// The input could not be read.
    Error = 1,
    /// The rules refused the notifications.
    Violations = 2,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its kind.
    pub code: Code,
    /// One line of JSON, an object, without a line feed.
    pub json: String,
}

/// Answers a question, in JSON.
#[must_use]
pub fn answer(hook: Hook, input: Vec<u8>) -> Answer {
    if input.len() > MAX_INPUT {
        return Answer::error(&format!("input {}", read::TOO_LARGE));
    }
    match hook {
        Hook::Start => Answer::of(one(input, pipefold_plugin::pipeline_start)),
        Hook::Step => Answer::of(one(input, pipefold_plugin::step)),
        Hook::Finish => Answer::of(many(input, pipefold_plugin::pipeline_finish)),
        Hook::Merge => Answer::of(many(input, pipefold_plugin::merge)),
    }
}

/// What the rules say, or why they were not asked.
type Judged<T> = Result<Result<T, Vec<Violation>>, String>;

fn one<T>(input: Vec<u8>, judge: fn(&Notification) -> Result<T, Vec<Violation>>) -> Judged<T> {
    let event = read::one(&input, "input")?;
    // The rules get the memory.
    drop(input);
    Ok(judge(&event))
}

fn many<T>(input: Vec<u8>, judge: fn(&[Notification]) -> Result<T, Vec<Violation>>) -> Judged<T> {
    let history = read::many(&input, "input")?;
    drop(input);
    Ok(judge(&history))
}

impl Answer {
    fn of<T>(judged: Judged<T>) -> Self
    where
        for<'t> Form<'t, T>: Serialize,
    {
        match judged {
            Ok(Ok(verdict)) => Self::new(Code::Verdict, &Form(&verdict)),
            Ok(Err(violations)) => Self::new(Code::Violations, &Form(violations.as_slice())),
            Err(error) => Self::error(&error),
        }
    }

    fn error(error: &str) -> Self {
        Self::new(Code::Error, &Form(error))
    }

    fn new(code: Code, form: &impl Serialize) -> Self {
        // Forms are texts, numbers and objects with texts as names: they can always be written.
        let json = serde_json::to_string(form).unwrap_or_default();
        Self {
            code,
            json: safe::json(&json),
        }
    }
}
