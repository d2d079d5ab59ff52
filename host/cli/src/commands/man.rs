//! `pipefold man`

use std::process::ExitCode;

use anyhow::Context;

use crate::args::{ManArgs, definition};

/// Prints the main page on stdout, or writes one page a command, `pipefold-step.1` and so on, to a directory.
pub(super) fn run(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let command = definition();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make the directory {directory:?}"))?;
        clap_mangen::generate_to(command, directory)
            .with_context(|| format!("cannot write the manual pages to {directory:?}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("cannot make the manual page")?;
    super::print_raw(&page)?;
    Ok(ExitCode::SUCCESS)
}
