//! The wrapped command of `exec` and `step`, without its report.

use std::ffi::OsString;
use std::process::ExitCode;

use pipefold::config::variables;

use crate::args::Cli;
use crate::args::Command::{Exec, Finish, Start, Step};
use crate::child::{CommandState, WrappedCommand};
use crate::terminal::say;

/// The command, with an environment that lacks the token.
pub fn command(argv: &[OsString]) -> WrappedCommand {
    let mut command = WrappedCommand::new(argv);
    command.env_remove(variables::DX_API_TOKEN);
    command
}

/// Runs the command and reports nothing.
pub fn run(argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = command(argv);
    // What runs within it has no run to join, and does not say once more that there is none.
    command.env_set(variables::LOCAL, "false");
    match command.spawn() {
        Ok(mut running) => Ok(ExitCode::from(running.wait_alone()?)),
        Err(error) => {
            say(&format!("pipefold: {error}"));
            Ok(ExitCode::from(error.code()))
        }
    }
}

/// Goes on after a fault of pipefold's own, which was said: a wrapped command runs to its end all the same, and its exit code is passed on.
pub fn despite_a_panic(cli: &Cli) -> ExitCode {
    let (argv, reports) = match &cli.command {
        Start(_) | Finish(_) => (&[] as &[OsString], true),
        Exec(args) => (args.command.as_slice(), true),
        Step(args) => (args.command.as_slice(), true),
        _ => (&[] as &[OsString], false),
    };
    if argv.is_empty() || cli.global.dry_run {
        // Trouble with reporting is no failure of the job.
        let is_failure = !reports || cli.global.strict || cli.global.dry_run;
        return if is_failure {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    match CommandState::now() {
        CommandState::NotStarted => run(argv).unwrap_or(ExitCode::FAILURE),
        CommandState::Running(mut running) => running.wait_alone().map_or(ExitCode::FAILURE, ExitCode::from),
        CommandState::Ended(code) => ExitCode::from(code),
    }
}
