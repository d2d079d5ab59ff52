//! The one command that a right line names, made without the others.
//!
//! Making all commands with their flags takes longer than a `step` takes for the rest of its work.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command};

use super::{ExecArgs, FinishArgs, FlushArgs, GlobalFlags, HookArgs, StartArgs, StatusArgs, StepArgs, token};

/// Gives a command its flags.
type Flags = fn(Command) -> Command;

/// The commands that builds call.
pub(super) const COMMANDS: [(&str, Flags); 7] = [
    ("exec", ExecArgs::augment_args),
    ("start", StartArgs::augment_args),
    ("step", StepArgs::augment_args),
    ("finish", FinishArgs::augment_args),
    ("flush", FlushArgs::augment_args),
    ("status", StatusArgs::augment_args),
    ("hook", HookArgs::augment_args),
];

/// The line as one of these commands has it. None for every other line, right or wrong, and for a request for help: errors and help texts
/// name other commands, so the whole definition has to word them.
pub(super) fn matches(line: &[OsString]) -> Option<ArgMatches> {
    // This may be a flag's value. Then the real command is an unknown word here, and the answer is none.
    let named = |word: &OsString| COMMANDS.into_iter().find(|(name, _)| word == name);
    let (name, flags) = line.iter().skip(1).find_map(named)?;
    let mut command = token::known(GlobalFlags::augment_args(Command::new("pipefold")))
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand(flags(Command::new(name)));
    let matches = command.try_get_matches_from_mut(line).ok();
    // Freeing some hundred small pieces takes longer than what is left of this process can use them for.
    std::mem::forget(command);
    matches
}
