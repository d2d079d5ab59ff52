//! What each command does: one file each, from its flags to its exit code.

mod beside;
mod completions;
mod component;
mod context;
mod doctor;
mod dry_run;
mod exec;
mod fleet;
mod flush;
mod gocd;
mod hook;
mod man;
mod notify;
mod outside;
mod policies;
mod probe;
mod serve;
mod status;
mod step;
mod stop;
mod token;
mod trouble;
mod wrapped;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use pipefold_sandbox::foreign;
use serde::Serialize;

use crate::args::{Cli, Command};
use crate::terminal::lines;

pub(crate) use wrapped::despite_a_panic;

/// Runs the command that was asked for.
///
/// # Errors
/// What kept it from doing so, for a person: the caller shows it and ends with a failure.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global;
    match &cli.command {
        Command::Exec(args) => exec::run(global, args),
        Command::Start(args) => notify::start(global, args),
        Command::Step(args) => step::run(global, args),
        Command::Finish(args) => notify::finish(global, args),
        Command::Flush(args) => flush::run(global, args),
        Command::Status(_) => status::run(global),
        Command::Hook(args) => hook::run(global, args),
        Command::Doctor(args) => doctor::run(global, args),
        Command::Component(args) => component::run(global, args),
        Command::Serve(args) => serve::run(global, args),
        Command::Gocd(args) => gocd::run(global, args),
        Command::Token(args) => token::run(global, args),
        Command::Forward(args) => fleet::forward(global, args),
        Command::Queue(args) => fleet::queue(global, args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// Writes an answer in JSON to stdout: a line, and nothing in it that a terminal or a CI system obeys.
fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    print_raw((foreign::json(&serde_json::to_string(answer)?) + "\n").as_bytes())
}

/// Writes an answer for people to stdout, each line safe to show.
fn print_lines(answer: &str) -> anyhow::Result<()> {
    print_raw(lines(answer).as_bytes())
}

/// Writes a command's whole answer to stdout as it is: it has no word of others, or each is safe to show already. A reader that has had
/// enough, as `| head`, is no error.
fn print_raw(answer: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(answer).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}
