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
    let cli = args::parse(std::env::args_os()).unwrap_or_else(|error| leave(&error));
    log::begin(cli.global.verbose);
    commands::run(&cli).unwrap_or_else(|error| {
        terminal::say(&format!("pipefold: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Ends with help, the version or what is wrong with the command line. Words of the line come back in that: unsafe ones are shown without the
/// library's colours.
fn leave(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if terminal::lines(&text) == text {
        error.exit();
    }
    text.lines().for_each(terminal::say);
    std::process::exit(error.exit_code())
}
