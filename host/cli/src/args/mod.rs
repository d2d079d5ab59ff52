//! The command line: every command and flag, without their implementation.
//!
//! Values stay as they were given. The component checks the fields of a run, reports all faults at once and never stops a build; the reporter
//! finds the value of a missing flag (environment, files, the CI system). A wrong *command line* ends with exit code 2.

mod commands;
mod flags;
mod fleet;
#[cfg(feature = "gocd")]
mod gocd;
mod import;
mod parse;
mod policy;
#[cfg(feature = "collector")]
mod serve;
#[cfg(feature = "collector")]
mod source;

#[cfg(test)]
mod tests;

use clap::{CommandFactory, Parser, Subcommand};

pub use commands::{
    CompletionsArgs, ComponentArgs, ComponentCommand, DoctorArgs, ExecArgs, FinishArgs, FlushArgs, HookArgs, HookName,
    ManArgs, StartArgs, StatusArgs, StepArgs,
};
pub use flags::{FieldFlags, GlobalFlags};
pub use fleet::{ForwardArgs, QueueArgs};
#[cfg(feature = "fleet")]
pub use fleet::{ForwardCommand, QueueCommand, RejectedCommand, RejectedNumbers};
#[cfg(feature = "gocd")]
pub use gocd::{DialectName, GocdArgs, GocdCommand, LateStagesName, ReadArgs, RerunsName, parse_since, restarted};
pub use import::{FormatName, ImportArgs};
pub use parse::parse;
pub use policy::{ExplainArgs, LanguageName, NewArgs, PolicyArgs, PolicyCommand, TestArgs, VerifyArgs};
#[cfg(feature = "collector")]
pub use serve::{DataDirFlag, ServeArgs, SourceFlags, TokenArgs, TokenCommand};
#[cfg(feature = "collector")]
pub use source::{SourceArgs, SourceCommand};

/// Report CI pipeline runs to DX
///
/// pipefold reports to DX when a pipeline run starts, steps and ends. Put it in front of a build, or call it from a CI system's own steps.
/// Each report is on disk before the command returns, and is sent until DX accepts it. A failure of reporting never changes a build: it is one
/// line on stderr, unless --strict is given.
#[derive(Debug, Parser)]
#[command(
    name = "pipefold",
    version,
    long_version = build(),
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{ENVIRONMENT}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalFlags,
    #[command(subcommand)]
    pub command: Command,
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
  DX_API_URL      the address of DX (see --dx-url)
  PIPEFOLD_QUEUE  the servers of a fleet's queue (see --queue)
  PIPEFOLD_SPOOL  the directory of the spool (see --spool)
  PIPEFOLD_…      each run field: PIPEFOLD_PIPELINE_NAME is --pipeline-name;
                  PIPEFOLD_PIPELINE_NAME_TEMPLATE makes it of CI's data
  PIPEFOLD_LOCAL  true reports also outside CI (see --local)
  NO_COLOR        no colours; CLICOLOR_FORCE=1 is colours without a terminal";

const EXIT_CODES: &str = "\
Exit codes:
  exec, step with a command: the command's own; 128+N if signal N killed it;
      127 if it was not found, 126 if it could not be run; with --strict, wrong
      input is found before the command is run, and it is not run
  otherwise: 0, also when reporting failed; with --strict 2 for bad input
      and 1 for other failures
  a wrong command line: 2";

/// The version, and the facts that tell builds of a version apart.
fn build() -> String {
    let features = [
        ("collector", cfg!(feature = "collector")),
        ("gocd", cfg!(feature = "gocd")),
        ("fleet", cfg!(feature = "fleet")),
        ("compiler", cfg!(feature = "compiler")),
        ("cross", cfg!(feature = "cross")),
    ];
    let features: Vec<&str> = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    format!(
        "{}\ncommit: {}\nfeatures: {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("PIPEFOLD_COMMIT").unwrap_or("unknown"),
        if features.is_empty() {
            "none".to_owned()
        } else {
            features.join(" ")
        }
    )
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Exec(ExecArgs),
    Start(StartArgs),
    Step(StepArgs),
    Finish(FinishArgs),
    Flush(FlushArgs),
    Status(StatusArgs),
    Hook(HookArgs),
    Import(ImportArgs),
    Doctor(DoctorArgs),
    Component(ComponentArgs),
    Policy(PolicyArgs),
    Serve(ServeArgs),
    Token(TokenArgs),
    Source(SourceArgs),
    Forward(ForwardArgs),
    Queue(QueueArgs),
    Gocd(GocdArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(not(feature = "collector"))]
pub use self::{AbsentArgs as ServeArgs, AbsentArgs as SourceArgs, AbsentArgs as TokenArgs};

#[cfg(not(feature = "gocd"))]
pub use self::AbsentArgs as GocdArgs;

/// Not in this build of pipefold
#[cfg(not(all(feature = "collector", feature = "gocd")))]
#[derive(Debug, clap::Args)]
pub struct AbsentArgs {
    /// Any arguments: the command fails in any case.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<std::ffi::OsString>,
}

impl Command {
    /// True if this command runs another one.
    pub fn wraps(&self) -> bool {
        match self {
            Self::Exec(_) => true,
            Self::Step(args) => !args.command.is_empty(),
            _ => false,
        }
    }
}

/// The whole definition, as help texts, manual pages and completions show it.
pub fn definition() -> clap::Command {
    flags::without_disobeyed(Cli::command())
}
