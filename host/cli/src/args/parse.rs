//! From the arguments of a process to a [`Cli`], or to the error that is shown.

use std::ffi::{OsStr, OsString};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{
    Cli, ComponentArgs, ComponentCommand, ExecArgs, FinishArgs, FlushArgs, GlobalFlags, HookArgs, StartArgs,
    StatusArgs, StepArgs, definition, flags,
};

/// Reads a command line, whose first word is the program's name.
///
/// # Errors
/// A wrong command line, or a request for help or the version: [`clap::Error::exit`] shows it and ends with the right code.
pub fn parse(line: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    parse_alone(&line).map_or_else(|| parse_whole(&line), Ok)
}

/// Gives a command its flags.
type AddFlags = fn(Command) -> Command;

/// The commands that builds call.
pub const BUILD_COMMANDS: [(&str, AddFlags); 7] = [
    ("exec", ExecArgs::augment_args),
    ("start", StartArgs::augment_args),
    ("step", StepArgs::augment_args),
    ("finish", FinishArgs::augment_args),
    ("flush", FlushArgs::augment_args),
    ("status", StatusArgs::augment_args),
    ("hook", HookArgs::augment_args),
];

/// Reads a right line that names one of [`BUILD_COMMANDS`], with a definition of that command alone. Making all commands with their flags
/// takes longer than a `step` takes for the rest of its work.
///
/// None for every other line, right or wrong, and for a request for help: errors and help texts name other commands, so the whole
/// definition has to word them.
pub fn parse_alone(line: &[OsString]) -> Option<Cli> {
    // The word may be a flag's value. Then the real command is an unknown word here, and the answer is none.
    let named = |word: &OsString| BUILD_COMMANDS.into_iter().find(|(name, _)| word == name);
    let (name, add_flags) = line.iter().skip(1).find_map(named)?;
    let mut command = with_token_flag(GlobalFlags::augment_args(Command::new("pipefold")))
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand(add_flags(Command::new(name)));
    let matches = command.try_get_matches_from_mut(line).ok();
    // Freeing some hundred small pieces takes longer than what is left of this process can use them for.
    std::mem::forget(command);
    let mut matches = matches?;
    if matches.contains_id(TOKEN) || flags::refusal(&matches).is_some() {
        return None;
    }
    let cli = Cli::from_arg_matches_mut(&mut matches).ok()?;
    has_all_policies(&cli, line).then_some(cli)
}

/// The whole definition with the arguments that are hidden from help, manual pages and completions.
pub fn with_hidden(command: Command) -> Command {
    with_compile_worker(with_gocd_secrets(with_token_flag(command)))
}

/// Reads any line, with the whole definition.
pub fn parse_whole(line: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = with_hidden(definition());
    let mut matches = command.try_get_matches_from_mut(line).or_else(|error| {
        let again = join_dashed_values(&command, line).map(|line| command.try_get_matches_from_mut(line));
        again.and_then(Result::ok).ok_or_else(|| with_tip(error))
    })?;
    let refusal = match () {
        () if matches.contains_id(TOKEN) => Some(TOKEN_REFUSAL.to_owned()),
        () if has_gocd_secret(&matches) => Some(GOCD_REFUSAL.to_owned()),
        () => flags::refusal(&matches),
    };
    if let Some(refusal) = refusal {
        return Err(command.error(ErrorKind::ArgumentConflict, refusal));
    }
    if is_compile_worker(&matches) {
        let global = GlobalFlags::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
        let worker = ComponentArgs {
            command: ComponentCommand::CompileWorker,
        };
        return Ok(Cli {
            global,
            command: super::Command::Component(worker),
        });
    }
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    if !has_all_policies(&cli, line) {
        let message =
            "give all --policy flags on one side of the command's name: their order is the order of the chain";
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    Ok(cli)
}

/// True if the library kept every `--policy` of the line. It keeps only those after the command's name when there are some on both sides: a
/// policy would be left out silently. No flag takes `--policy` for a value, and what follows `--` is another command's.
fn has_all_policies(cli: &Cli, line: &[OsString]) -> bool {
    let flags = line
        .iter()
        .map(|word| word.as_encoded_bytes())
        .take_while(|word| *word != b"--");
    let given = flags.filter(|word| *word == b"--policy" || word.starts_with(b"--policy="));
    given.count() == cli.global.policies.len()
}

/// Adds the place of the command to an error about a missing command, or about one without `--` in front of it.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let missing =
        error.kind() == ErrorKind::MissingRequiredArgument && context(ContextKind::InvalidArg).contains("<COMMAND>");
    let bare_word = error.kind() == ErrorKind::UnknownArgument && !context(ContextKind::InvalidArg).starts_with('-');
    if context(ContextKind::Usage).contains("-- COMMAND") && (missing || bare_word) {
        let tip = "the command goes after `--`, as in `-- make test`";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

const TOKEN: &str = "refused-token";

/// The error for a token on the command line.
const TOKEN_REFUSAL: &str = "the token is never an argument, where every process can read it; use DX_API_TOKEN or --token-file, \
                             and replace a token that was given on a command line";

/// A flag for a secret, to be refused without being shown, however its value looks: the value of an unknown flag might be shown as one more
/// unknown argument. Not part of [`Cli`], or completions would offer it.
fn secret_flag(id: &'static str, long: &'static str) -> Arg {
    // The value is forgotten at once. Reading it cannot fail: the library's errors show the value.
    let forget = OsStringValueParser::new().map(|_| ());
    Arg::new(id)
        .long(long)
        .value_parser(forget)
        .hide(true)
        .num_args(0..=1)
        .allow_hyphen_values(true)
        .overrides_with(id)
}

/// Adds `--token` and its likely spellings.
fn with_token_flag(command: Command) -> Command {
    let token = secret_flag(TOKEN, "token").aliases(["api-token", "dx-token", "dx-api-token"]);
    command.arg(token.global(true))
}

const GOCD_SECRET: &str = "refused-gocd-secret";

/// The error for a secret of GoCD on the command line.
const GOCD_REFUSAL: &str = "a password or token is never an argument, where every process can read it; use GOCD_PASSWORD or \
                            --password-file, GOCD_ACCESS_TOKEN or --access-token-file, and replace one that was given on a \
                            command line";

/// Adds `--password` and `--access-token` to the `gocd` commands.
fn with_gocd_secrets(command: Command) -> Command {
    let add = |command: Command| command.arg(secret_flag(GOCD_SECRET, "password").alias("access-token"));
    // Where the command is absent, it has no commands below it.
    if cfg!(not(feature = "gocd")) {
        return command;
    }
    command.mut_subcommand("gocd", |gocd| {
        gocd.mut_subcommand("sync", add).mut_subcommand("watch", add)
    })
}

fn has_gocd_secret(matches: &ArgMatches) -> bool {
    let gocd = matches.subcommand_matches("gocd");
    gocd.and_then(ArgMatches::subcommand)
        .is_some_and(|(_, matches)| matches.contains_id(GOCD_SECRET))
}

const COMPILE_WORKER: &str = "compile-worker";

/// Adds `component compile-worker`, the compiler process that the command starts. Not part of [`Cli`], or completions would offer it.
fn with_compile_worker(command: Command) -> Command {
    command.mut_subcommand("component", |component| {
        component.subcommand(Command::new(COMPILE_WORKER).hide(true))
    })
}

fn is_compile_worker(matches: &ArgMatches) -> bool {
    let component = matches.subcommand_matches("component");
    component.and_then(ArgMatches::subcommand_name) == Some(COMPILE_WORKER)
}

/// Joins each value that begins with a dash, such as a step's name `--- build ---` or `-DskipTests`, to its flag by `=`, as the library calls
/// for. None if there is nothing to join. A word that is a flag itself stays one: a value is missing in front of it.
fn join_dashed_values(command: &Command, line: &[OsString]) -> Option<Vec<OsString>> {
    let called = line.iter().filter_map(|word| word.to_str());
    let called = called.filter_map(|word| command.find_subcommand(word)).next()?;
    let arguments = || command.get_arguments().chain(called.get_arguments());
    let is_flag = |word: &str| match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split_once('=').map_or(long, |(name, _)| name);
            name.is_empty()
                || name == "help"
                || name == "version"
                || arguments().any(|arg| arg.get_long() == Some(name))
        }
        None => word[1..]
            .chars()
            .all(|short| matches!(short, 'h' | 'V') || arguments().any(|arg| arg.get_short() == Some(short))),
    };
    let takes_value = |word: &str| {
        let name = word.strip_prefix("--");
        arguments().any(|arg| arg.get_long().is_some() && arg.get_long() == name && arg.get_action().takes_values())
    };
    let mut words = line.iter().peekable();
    let mut joined = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            joined.push(word.clone());
            break;
        }
        let is_value = |next: &&OsString| {
            let next = next.to_string_lossy();
            next.starts_with('-') && next.len() > 1 && !is_flag(&next)
        };
        match words.next_if(|next| word.to_str().is_some_and(takes_value) && is_value(next)) {
            Some(value) => joined.push([word.as_os_str(), OsStr::new("="), value].into_iter().collect()),
            None => joined.push(word.clone()),
        }
    }
    joined.extend(words.cloned());
    (joined.len() < line.len()).then_some(joined)
}
