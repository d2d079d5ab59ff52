//! The command line: every command and flag, and nothing of what they do.
//!
//! Values stay as they were given. What a field may hold is the component's to say, all faults at once and without stopping a build; where a
//! missing flag's value comes from (environment, files, the CI system) is the reporter's. A wrong *command line* ends with exit code 2.

mod dashes;
mod fields;
mod fleet;
mod global;
mod gocd;
mod named;
mod obeyed;
mod run;
mod serve;
mod token;
mod tools;
mod values;
mod waiting;
mod worker;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use fields::FieldFlags;
pub(crate) use fleet::{ForwardArgs, QueueArgs};
#[cfg(feature = "fleet")]
pub(crate) use fleet::{ForwardCommand, QueueCommand, RejectedCommand, Which};
pub(crate) use global::GlobalFlags;
pub(crate) use gocd::{
    DialectName, GocdArgs, GocdCommand, LateStagesName, ReadArgs, RerunsName, parse_since, restarted,
};
pub(crate) use run::{ExecArgs, FinishArgs, StartArgs, StepArgs};
pub(crate) use serve::{DataDirFlag, ServeArgs, TokenArgs, TokenCommand};
pub(crate) use tools::{CompletionsArgs, ComponentArgs, ComponentCommand, DoctorArgs, HookArgs, HookName, ManArgs};
pub(crate) use waiting::{FlushArgs, StatusArgs};

/// Report CI pipeline runs to DX
///
/// pipefold reports to DX when a pipeline run starts, steps and ends. Put it in front of a build, or call it from a CI system's own steps.
/// Each report is on disk before the command returns, and is sent until DX accepts it. Trouble with reporting never changes a build: it is one
/// line on stderr, unless --strict is given.
#[derive(Debug, Parser)]
#[command(
    name = "pipefold",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{ENVIRONMENT}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pipefold exec --pipeline-name build -- make test
  pipefold step --step lint --allow-failure -- make lint
  pipefold exec --dry-run --json -- true
Where a build is more than one command:
  pipefold start
  pipefold step --step test -- make test || failed=1
  pipefold finish; exit ${failed:-0}";

// Lines of 78 columns at most: on a narrow terminal the library would break them anywhere.
const ENVIRONMENT: &str = "\
Environment:
  DX_API_TOKEN    the token; there is no flag for it, where other processes
                  could read it (see --token-file)
  DX_API_URL      where DX is (see --dx-url)
  PIPEFOLD_QUEUE  where a fleet's queue is (see --queue)
  PIPEFOLD_SPOOL  where records wait (see --spool)
  PIPEFOLD_…      each run field: PIPEFOLD_PIPELINE_NAME is --pipeline-name;
                  PIPEFOLD_PIPELINE_NAME_TEMPLATE makes it of CI's data
  PIPEFOLD_LOCAL  true reports also outside CI (see --local)
  NO_COLOR        no colours; CLICOLOR_FORCE=1 is colours without a terminal";

const EXIT_CODES: &str = "\
Exit codes:
  exec, step with a command: the command's own; 128+N if signal N killed it;
      127 if it was not found, 126 if it could not be run; with --strict, wrong
      input is found before the command is run, and it is not run
  otherwise: 0, also when reporting had trouble; with --strict 2 for bad input
      and 1 for other trouble
  a wrong command line: 2";

/// One for each command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Exec(ExecArgs),
    Start(StartArgs),
    Step(StepArgs),
    Finish(FinishArgs),
    Flush(FlushArgs),
    Status(StatusArgs),
    Hook(HookArgs),
    Doctor(DoctorArgs),
    Component(ComponentArgs),
    Serve(ServeArgs),
    Token(TokenArgs),
    Forward(ForwardArgs),
    Queue(QueueArgs),
    Gocd(GocdArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Command {
    /// True if it runs another command.
    pub(crate) fn wraps(&self) -> bool {
        match self {
            Self::Exec(_) => true,
            Self::Step(args) => !args.command.is_empty(),
            _ => false,
        }
    }
}

/// What was asked for on this command line; its first word is the program's name.
///
/// # Errors
/// A wrong command line, or a request for help or the version: [`clap::Error::exit`] shows it and ends with the right code.
pub(crate) fn parse(line: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    named(&line).map_or_else(|| whole(&line), Ok)
}

/// What a right line asks for that names a command of a build; none for any other.
fn named(line: &[OsString]) -> Option<Cli> {
    let mut matches = named::matches(line)?;
    if token::was_given(&matches) || obeyed::refusal(&matches).is_some() {
        return None;
    }
    let cli = Cli::from_arg_matches_mut(&mut matches).ok()?;
    has_all_policies(&cli, line).then_some(cli)
}

/// The whole definition, as help texts, manual pages and completions show it.
pub(crate) fn definition() -> clap::Command {
    obeyed::shown(Cli::command())
}

/// What any line asks for, by the whole definition.
fn whole(line: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = worker::known(gocd::known(token::known(definition())));
    let mut matches = command.try_get_matches_from_mut(line).or_else(|error| {
        let again = dashes::joined(&command, line).map(|line| command.try_get_matches_from_mut(line));
        again.and_then(Result::ok).ok_or_else(|| with_tip(error))
    })?;
    if token::was_given(&matches) {
        return Err(command.error(ErrorKind::ArgumentConflict, token::REFUSAL));
    }
    if gocd::secret_was_given(&matches) {
        return Err(command.error(ErrorKind::ArgumentConflict, gocd::REFUSAL));
    }
    if let Some(refusal) = obeyed::refusal(&matches) {
        return Err(command.error(ErrorKind::ArgumentConflict, refusal));
    }
    if worker::was_asked_for(&matches) {
        let global = GlobalFlags::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
        let worker = ComponentArgs {
            command: ComponentCommand::CompileWorker,
        };
        return Ok(Cli {
            global,
            command: Command::Component(worker),
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

/// Says where the command goes when it is missing, or is there without `--` in front of it.
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
