//! `pipefold completions SHELL`

use std::process::ExitCode;

use crate::args::{CompletionsArgs, definition};

/// Prints the completions on stdout.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    // Made in memory first: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "pipefold", &mut script);
    super::print_raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
