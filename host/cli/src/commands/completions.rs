//! `pipefold completions SHELL`

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};

/// Prints the completions on stdout.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    // Made in memory first: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pipefold", &mut script);
    super::print_raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
