//! `policy`: begins policies, tests them with cases, explains what they do to a run, and verifies their signatures.

mod cases;
mod difference;
mod explain;
mod new;
mod subject;
mod test;
mod update;
mod usage;
mod verify;

use std::process::ExitCode;

use pipefold::forms::verdict;
use pipefold::{NoVerdict, Verdict};
use pipefold_sandbox::HookError;
use serde_json::{Map, Value, json};

use crate::args::{GlobalFlags, PolicyArgs, PolicyCommand};
use crate::terminal::{neutral, say};

/// `pipefold policy`
pub fn run(global: &GlobalFlags, args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PolicyCommand::New(args) => new::run(global, args),
        PolicyCommand::Test(args) => test::run(global, args),
        PolicyCommand::Explain(args) => explain::run(global, args),
        PolicyCommand::Verify(args) => verify::run(global, args),
    }
}

/// An answer as `pipefold hook` gives it; a failure is its message.
fn answer(answer: Result<Verdict, HookError>) -> Map<String, Value> {
    let answer = match answer.map_err(NoVerdict::from) {
        Ok(answer) => verdict(answer),
        Err(NoVerdict::Refused(refused)) => json!({ "violations": refused.violations }),
        Err(NoVerdict::Failed(why)) => json!({ "failure": why }),
    };
    match answer {
        Value::Object(answer) => answer,
        other => Map::from_iter([("answer".to_owned(), other)]),
    }
}

/// A fault in a file or a flag that the caller named: the exit code is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

/// Prints wrong input, and returns its exit code.
fn refused(wrong: &Wrong) -> ExitCode {
    for line in wrong.0.lines() {
        say(&format!("pipefold: {}", neutral(line)));
    }
    ExitCode::from(2)
}
