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

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::parse(std::env::args_os()).unwrap_or_else(|error| leave(&error));
    if cli.command.wraps() {
        child::hold();
    }
    child::outlive_the_file_limit();
    log::begin(cli.global.verbose);
    set_hook(Box::new(say_what_panicked));
    match catch_unwind(AssertUnwindSafe(|| commands::run(&cli))) {
        Ok(result) => result.unwrap_or_else(|error| {
            terminal::say(&format!("pipefold: {error:#}"));
            ExitCode::FAILURE
        }),
        // The state of what panicked is not looked at again: only the command and its exit code are.
        Err(_) => commands::despite_a_panic(&cli),
    }
}

/// A fault of pipefold's own, on one line and in any thread.
fn say_what_panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or_default();
    terminal::say(&format!(
        "pipefold: internal error, please report it: {} ({place})",
        terminal::excerpt(why)
    ));
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
