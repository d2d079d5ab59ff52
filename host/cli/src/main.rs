//! The `pipefold` command: flags in, exit code out.
//!
//! `args` defines the command line, `commands` executes it, `child` runs the wrapped command of `exec` and `step`, `terminal` prints for people.
//! The library `pipefold` has the meaning of a run and its way to DX.

mod args;
mod child;
mod commands;
mod terminal;

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;

/// In place of musl's, which is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = args::parse(std::env::args_os()).unwrap_or_else(|error| exit_with(&error));
    if cli.command.wraps() {
        child::hold();
    }
    child::outlive_the_file_limit();
    terminal::show_log(cli.global.verbose);
    set_hook(Box::new(print_panic));
    match catch_unwind(AssertUnwindSafe(|| commands::run(&cli))) {
        Ok(result) => result.unwrap_or_else(|error| {
            terminal::say(&format!("pipefold: {error:#}"));
            ExitCode::FAILURE
        }),
        // The state of the code that panicked is not used again: only the command and its exit code are.
        Err(_) => commands::despite_a_panic(&cli),
    }
}

/// Prints a fault of pipefold's own, on one line and from any thread.
fn print_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or_default();
    terminal::say(&format!(
        "pipefold: internal error, please report it: {} ({place})",
        terminal::excerpt(why)
    ));
}

/// Ends with help, the version or the error of the command line. That repeats words of the line: unsafe ones are shown without the library's
/// colours.
fn exit_with(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if terminal::lines(&text) == text {
        error.exit();
    }
    text.lines().for_each(terminal::say);
    std::process::exit(error.exit_code())
}
