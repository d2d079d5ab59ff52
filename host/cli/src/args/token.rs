//! The token on a command line: refused there, and never shown.

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Command};

const ID: &str = "refused-token";

/// The error for a token on the command line.
pub(super) const REFUSAL: &str = "the token is never an argument, where every process can read it; use DX_API_TOKEN or \
                                  --token-file, and replace a token that was given on a command line";

/// Makes `--token` and its likely spellings known, so that they can be refused without being shown, whatever their value looks like: an
/// unknown flag's value might be shown as one more unknown argument. Not part of [`Cli`](super::Cli), or completions would offer it.
pub(super) fn known(command: Command) -> Command {
    // The value is forgotten at once. Reading it cannot fail: the library's errors show the value.
    let forget = OsStringValueParser::new().map(|_| ());
    let token = Arg::new(ID)
        .long("token")
        .aliases(["api-token", "dx-token", "dx-api-token"])
        .value_parser(forget);
    command.arg(
        token
            .global(true)
            .hide(true)
            .num_args(0..=1)
            .allow_hyphen_values(true)
            .overrides_with(ID),
    )
}

/// True if one was given.
pub(super) fn was_given(matches: &ArgMatches) -> bool {
    matches.contains_id(ID)
}
