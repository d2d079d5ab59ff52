//! The commands that report a run: `exec`, `start`, `step`, `finish`.

use std::ffi::OsString;

use clap::Args;

use super::fields::FieldFlags;
use super::values::text;

const STATUSES: &str = "success, failure, cancelled, running or unknown";

/// Report a command as a run: its start, its end and how it went
///
/// Runs the command with stdin, stdout and stderr untouched, and passes its exit code on. Signals are sent on to it; SIGINT, SIGTERM, SIGHUP
/// and SIGQUIT make the run `cancelled`. Delivery happens beside the command. A `pipefold step` within the command joins the run without flags; an
/// `exec` within it is a step of it.
#[derive(Debug, Args)]
#[command(
    override_usage = "pipefold exec [OPTIONS] -- COMMAND [ARGUMENTS]…",
    after_help = "\
Examples:
  pipefold exec -- make test
  pipefold exec --pipeline-name nightly --repository getdx/some_repo -- ./build.sh --release"
)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) fields: FieldFlags,

    /// The command and its arguments, after `--`
    #[arg(help_heading = None, last = true, required = true, value_name = "COMMAND", num_args = 1..)]
    pub(crate) command: Vec<OsString>,
}

/// Report that a run begins
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold start --pipeline-name build --pipeline-source Jenkins --reference-id \"$BUILD_TAG\"")]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) fields: FieldFlags,
}

/// Report a step of a run, or run a command as one
///
/// Steps are recorded and sent with the end of the run; --now sends one at once. With a command, its exit code gives the status and is passed
/// on; without one and without --status, the step is taken to be running.
#[derive(Debug, Args)]
#[command(
    override_usage = "pipefold step --step NAME [OPTIONS] [-- COMMAND [ARGUMENTS]…]",
    after_help = "\
Examples:
  pipefold step --step compile -- make
  pipefold step --step lint --status failure --allow-failure"
)]
pub(crate) struct StepArgs {
    /// Name of the step
    #[arg(long, value_name = "NAME", required = true, value_parser = text())]
    pub(crate) step: String,

    #[arg(long, value_name = "STATUS", value_parser = text(), conflicts_with = "command")]
    #[arg(help = format!("How it went: {STATUSES}"))]
    pub(crate) status: Option<String>,

    /// Its failure is not the run's
    #[arg(long)]
    pub(crate) allow_failure: bool,

    /// Send it at once, not with the end of the run; its failure counts when the run ends
    #[arg(long)]
    pub(crate) now: bool,

    #[command(flatten)]
    pub(crate) fields: FieldFlags,

    /// The command and its arguments, after `--`
    #[arg(help_heading = None, last = true, value_name = "COMMAND", num_args = 1..)]
    pub(crate) command: Vec<OsString>,
}

/// Report that a run has ended
///
/// Without a status, the steps decide, except those allowed to fail.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold finish --status success
  pipefold finish --reference-id \"$BUILD_TAG\"")]
pub(crate) struct FinishArgs {
    #[arg(long, value_name = "STATUS", value_parser = text())]
    #[arg(help = format!("How it went: {STATUSES}"))]
    pub(crate) status: Option<String>,

    #[command(flatten)]
    pub(crate) fields: FieldFlags,
}
