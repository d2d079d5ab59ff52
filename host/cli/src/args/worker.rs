//! `component compile-worker`: the compiler process that the command starts. Hidden from users.

use clap::{ArgMatches, Command};

const NAME: &str = "compile-worker";

/// Makes it known. Not part of [`Cli`](super::Cli), or completions would offer it.
pub(super) fn known(command: Command) -> Command {
    command.mut_subcommand("component", |component| {
        component.subcommand(Command::new(NAME).hide(true))
    })
}

/// True if it was asked for.
pub(super) fn was_asked_for(matches: &ArgMatches) -> bool {
    let component = matches.subcommand_matches("component");
    component.and_then(ArgMatches::subcommand_name) == Some(NAME)
}
