//! `policy`: begins policies, tests them with cases, and verifies their signatures.

mod cases;
mod difference;
mod new;
mod subject;
mod test;
mod update;
mod verify;

use std::process::ExitCode;

use crate::args::{GlobalFlags, PolicyArgs, PolicyCommand};
use crate::terminal::{neutral, say};

/// `pipefold policy`
pub fn run(global: &GlobalFlags, args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PolicyCommand::New(args) => new::run(global, args),
        PolicyCommand::Test(args) => test::run(global, args),
        PolicyCommand::Verify(args) => verify::run(global, args),
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
