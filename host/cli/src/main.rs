//! The `pipefold` command: flags in, exit code out.
//!
//! `args` says what can be asked for, `commands` does it, `child` runs the wrapped command of `exec` and `step`, `terminal` words what a person
//! reads. What a run means and how it gets to DX is the `pipefold` library's.

mod args;
mod child;
mod commands;
mod log;
mod privacy;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    log::begin(cli.global.verbose);
    commands::run(&cli).unwrap_or_else(|error| {
        terminal::say(&format!("pipefold: {}", terminal::neutral(&format!("{error:#}"))));
        ExitCode::FAILURE
    })
}
