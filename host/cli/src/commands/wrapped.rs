//! The wrapped command of `exec` and `step`, without what is told of it.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use pipefold::config::variables;

use crate::child::Command;
use crate::terminal::say;

/// A grace that nobody lives to see the end of, for those that do nothing at its end.
pub(crate) const FOREVER: Duration = Duration::from_hours(24 * 365);

/// The command, with an environment that lacks the token.
pub(crate) fn command(argv: &[OsString]) -> Command {
    let mut command = Command::new(argv);
    command.env_remove(variables::DX_API_TOKEN);
    command
}

/// Runs the command and tells nobody.
pub(crate) fn run(argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = command(argv);
    // What runs within it has no run to join, and does not say once more that there is none.
    command.env_set(variables::LOCAL, "false");
    match command.spawn() {
        Ok(mut running) => Ok(ExitCode::from(running.wait(|_| {}, FOREVER, || {})?.code)),
        Err(error) => {
            say(&format!("pipefold: {error}"));
            Ok(ExitCode::from(error.code()))
        }
    }
}
