//! The commands that builds call (`exec`, `start`, `step`, `finish`, `flush`, `status`, `hook`) and the tools (`doctor`, `component`,
//! `completions`, `man`).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use pipefold::config::{parse_age, parse_duration};
use pipefold_sandbox::ComponentFile;

use super::flags::{FieldFlags, text};

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
pub struct ExecArgs {
    #[command(flatten)]
    pub fields: FieldFlags,

    /// The command and its arguments, after `--`
    #[arg(help_heading = None, last = true, required = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

/// Report that a run begins
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold start --pipeline-name build --pipeline-source Jenkins --reference-id \"$BUILD_TAG\"")]
pub struct StartArgs {
    #[command(flatten)]
    pub fields: FieldFlags,
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
pub struct StepArgs {
    /// Name of the step
    #[arg(long, value_name = "NAME", required = true, value_parser = text())]
    pub step: String,

    /// Name of the step that is unique in the run, where several steps have one name
    ///
    /// Steps with the same name are one job in DX: the latest execution of a repeated step. Steps of a matrix, which have one name and run
    /// once each, need an id each.
    #[arg(long, value_name = "ID", value_parser = text())]
    pub step_id: Option<String>,

    #[arg(long, value_name = "STATUS", value_parser = text(), conflicts_with = "command")]
    #[arg(help = format!("Result: {STATUSES}"))]
    pub status: Option<String>,

    /// Do not fail the run if the step fails
    #[arg(long)]
    pub allow_failure: bool,

    /// Send the step at once, not with the end of the run; its failure counts when the run ends
    #[arg(long)]
    pub now: bool,

    #[command(flatten)]
    pub fields: FieldFlags,

    /// The command and its arguments, after `--`
    #[arg(help_heading = None, last = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

/// Report that a run has ended
///
/// Without a status, the steps decide, except those allowed to fail.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold finish --status success
  pipefold finish --reference-id \"$BUILD_TAG\"")]
pub struct FinishArgs {
    #[arg(long, value_name = "STATUS", value_parser = text())]
    #[arg(help = format!("Result: {STATUSES}"))]
    pub status: Option<String>,

    #[command(flatten)]
    pub fields: FieldFlags,
}

/// Deliver waiting runs
///
/// Sends what earlier commands could not send, also what was recorded without a token. Ends when all is sent or the time is over. Pauses that
/// earlier commands noted are ignored.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold flush --timeout 30s
  pipefold flush --export runs.json      at the end of a job whose runner is thrown away
  pipefold flush --import runs.json      where DX can be reached
  pipefold --policy redact.wasm flush --rejudge      after a policy was corrected
  pipefold flush --rejected              after an incident at DX, or a corrected account
  pipefold flush --abandon 7d            end the runs of jobs that were killed")]
pub struct FlushArgs {
    /// Time to try for, such as 30s or 2m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// Only the run of this reference id
    #[arg(long, value_name = "ID", value_parser = text())]
    pub run: Option<String>,

    /// Also send runs recorded for other tokens of the same DX
    #[arg(long)]
    pub other_tokens: bool,

    /// Apply the policies of this command in place of the recorded ones
    ///
    /// A notification is sent only through the policies it was recorded under. With this flag those of --policy and the configuration
    /// replace them, for instance after a policy was corrected. Without a policy it is an error.
    #[arg(long)]
    pub rejudge: bool,

    /// First put back what DX or the rules refused
    #[arg(long)]
    pub rejected: bool,

    /// End unfinished runs with nothing recorded for this long, such as 7d
    ///
    /// These runs are sent as cancelled, which DX does not take back when one succeeds later.
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub abandon: Option<Duration>,

    /// Write undelivered notifications to a file instead of sending them
    ///
    /// Notifications are written as they were recorded, before any policy: keep the file as private as the spool.
    #[arg(long, value_name = "FILE", conflicts_with = "import")]
    pub export: Option<PathBuf>,

    /// First import a file that another machine exported
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
}

/// Show waiting runs, and why they wait
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold status --json")]
pub struct StatusArgs {}

/// Ask a hook for its verdict: JSON on stdin, JSON on stdout
///
/// For hosts in any language. Nothing is recorded and nothing is sent.
///
/// With --stream it answers question after question, a line of JSON each, until stdin ends:
/// `{"hook": "start", "notification": {…}}`, or `{"hook": "finish", "history": [{…}, …]}`. An `id` in a question is in its answer.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  echo '{\"pipeline_name\":\"build\",\"pipeline_source\":\"Jenkins\",\"reference_id\":\"1\",\"started_at\":\"2025-01-31\"}' |
    pipefold hook start")]
pub struct HookArgs {
    /// Name of the hook
    #[arg(value_name = "HOOK", required_unless_present = "stream")]
    pub hook: Option<HookName>,
    /// Answer the questions of stdin, a line of JSON each, until it ends
    #[arg(long, conflicts_with = "hook")]
    pub stream: bool,
}

/// The hooks of the contract, and the merge, which the default component also exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookName {
    /// A run begins: one notification
    Start,
    /// A step of a run: one notification
    Step,
    /// A run has ended: the list of its notifications
    Finish,
    /// No verdict, only the run that a list of notifications makes
    Merge,
}

/// Show what was detected, from where, what would be sent, and whether DX can be reached
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  pipefold doctor --json")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub fields: FieldFlags,
}

/// Inspect WebAssembly components, and compile them ahead
#[derive(Debug, Args)]
pub struct ComponentArgs {
    #[command(subcommand)]
    pub command: ComponentCommand,
}

/// The commands about components.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Show a component's imports, exports, size, digest and limits, and whether it loads here
    #[command(after_help = "\
Example:
  pipefold component inspect policy.wasm --json")]
    Inspect {
        /// The component; with @sha256:… it must have that digest
        #[arg(value_name = "FILE[@sha256:…]")]
        file: ComponentFile,
    },
    /// Compile a component into the cache, so that no build has to
    ///
    /// It is compiled in a process of its own, with limits on its time and memory. Without this, the first command that uses a policy
    /// compiles it. Without FILE, the components of pipefold itself are compiled.
    #[command(after_help = "\
Examples:
  pipefold component compile policy.wasm
  sudo pipefold component compile policy.wasm --policy-cache /var/cache/pipefold")]
    Compile {
        /// The component; with @sha256:… it must have that digest [default: pipefold's own components]
        #[arg(value_name = "FILE[@sha256:…]")]
        file: Option<ComponentFile>,
    },
    /// Put the compiled code of pipefold's own components into an executable, so that no process has to compile them
    ///
    /// For those who package or install pipefold. The code is for the processor that the executable was built for, and is checked at each
    /// start. IN must be of this version and these features of pipefold, and may be this command itself.
    #[command(after_help = "\
Examples:
  pipefold component embed target/release/pipefold dist/pipefold
  pipefold component embed ~/.cargo/bin/pipefold ~/.cargo/bin/pipefold")]
    Embed {
        /// The executable
        #[arg(value_name = "IN")]
        executable: PathBuf,
        /// The executable to write; it may be IN
        #[arg(value_name = "OUT")]
        output: PathBuf,
    },
    /// The compiler process that the command starts: a component on stdin, its code on stdout. Hidden from users; `parse` defines it.
    #[command(skip)]
    CompileWorker,
}

/// Print a shell's completions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold completions bash > ~/.local/share/bash-completion/completions/pipefold
  pipefold completions zsh > ~/.zfunc/_pipefold
  pipefold completions fish > ~/.config/fish/completions/pipefold.fish")]
pub struct CompletionsArgs {
    /// Name of the shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page, or write one a command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold man | man -l -
  pipefold man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Directory to write all pages to
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
