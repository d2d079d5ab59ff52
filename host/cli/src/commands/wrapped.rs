//! The wrapped command of `exec` and `step`: its environment, its end, and its run when nothing is reported.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pipefold::config::variables;
use pipefold::detect::Field;
use pipefold::{Attribute, Hook, Notification, Status, clock};

use super::context::{Context, config_file};
use super::diagnostic::{Diagnostic, exit_code, print};
use super::policies;
use crate::args::Command::{Exec, Finish, Start, Step};
use crate::args::{Cli, GlobalFlags};
use crate::child::{CommandState, Ended, SpawnError, WrappedCommand};
use crate::terminal::say;

/// The command, with an environment that lacks the token.
fn without_token(argv: &[OsString]) -> WrappedCommand {
    let mut command = WrappedCommand::new(argv);
    command.env_remove(variables::DX_API_TOKEN);
    command
}

/// The command that is reported as `notification`. A `pipefold` within it joins the run.
pub fn command(
    argv: &[OsString],
    global: &GlobalFlags,
    context: &Context,
    notification: &Notification,
    hook: Hook,
) -> WrappedCommand {
    let mut command = without_token(argv);
    for (name, value) in variables_for(global, context, notification) {
        // A step delivers nothing for the commands within it, so it is not the one to wait for.
        if name != variables::OUTER || hook != Hook::Step || context.within_exec() {
            command.env_set(name, value);
        }
    }
    command
}

/// The variables for a wrapped command: the names that let a `pipefold` within it join the run, and never the token.
fn variables_for(
    global: &GlobalFlags,
    context: &Context,
    notification: &Notification,
) -> Vec<(&'static str, OsString)> {
    let mut variables = Vec::new();
    let mut set = |name: &'static str, value: &str| variables.push((name, OsString::from(value)));
    for (field, sourced) in context.settings.fields.iter() {
        if !matches!(
            field,
            Field::Status | Field::StartedAt | Field::FinishedAt | Field::Step
        ) {
            set(field.variable(), &sourced.value);
        }
    }
    let attributes = notification.attributes.iter();
    let attributes: Vec<String> = attributes
        .map(|Attribute { key, value }| format!("{key}={value}"))
        .collect();
    if !attributes.is_empty() {
        set(variables::ATTRIBUTES, &attributes.join("\n"));
    }
    if let Some(id) = &notification.reference_id {
        set(variables::OUTER, id);
    }
    if let Some(digest) = &context.reporter.destination().token {
        set(variables::DESTINATION, digest);
    }
    if let Ok(spool) = context.reporter.spool() {
        variables.push((variables::SPOOL, spool.path().into()));
    }
    // Reports within the command are judged by the same policies. Its working directory may be another.
    if let Some(policies) = policies::for_wrapped_command(global, &context.environment) {
        variables.push((variables::POLICY, policies));
    }
    let files = [
        (variables::CONFIG, config_file(global, &context.environment)),
        (
            variables::POLICY_CACHE,
            policies::cache_dir(global, &context.environment),
        ),
    ];
    for (name, file) in files {
        if let Some(file) = file.and_then(|file| std::path::absolute(file).ok()) {
            variables.push((name, file.into()));
        }
    }
    if let Some(url) = &context.reporter.destination().url {
        let name = match context.settings.queue {
            Some(_) => variables::QUEUE,
            None => variables::DX_API_URL,
        };
        variables.push((name, url.into()));
    }
    variables
}

/// The end of a wrapped command, as it is reported.
#[derive(Debug, Clone, Copy)]
pub struct CommandEnd {
    pub status: Status,
    /// The exit code to pass on.
    pub code: u8,
    pub duration: Duration,
}

impl CommandEnd {
    /// The end of a command that this process could not wait for.
    pub const UNKNOWN: Self = Self {
        status: Status::Unknown,
        code: 1,
        duration: Duration::ZERO,
    };

    /// A command that could not start, which this prints.
    pub fn not_started(error: &SpawnError) -> Self {
        say(&format!("pipefold: {error}"));
        Self {
            status: Status::Failure,
            code: error.code(),
            duration: Duration::ZERO,
        }
    }
}

impl From<Ended> for CommandEnd {
    fn from(ended: Ended) -> Self {
        Self {
            status: match (ended.cancelled, ended.code) {
                (true, _) => Status::Cancelled,
                (false, 0) => Status::Success,
                (false, _) => Status::Failure,
            },
            code: ended.code,
            duration: ended.duration,
        }
    }
}

/// Records a cancellation in a thread of its own, or here if none can be started. The caller has to wait for the thread: cut off by this
/// process's end, it would leave half a file behind.
pub fn record_beside(context: &Arc<Context>, hook: Hook, end: Notification) -> Option<JoinHandle<()>> {
    let record = {
        let (context, end) = (Arc::clone(context), end.clone());
        move || drop(context.reporter.record_at_once(hook, end))
    };
    let beside = thread::Builder::new().name("record".into()).spawn(record).ok();
    if beside.is_none() {
        drop(context.reporter.record_at_once(hook, end));
    }
    beside
}

/// The end of a run or a step whose command was asked to stop and still runs.
pub fn cancelled(notification: &Notification, began: &str) -> Notification {
    Notification {
        status: Some(Status::Cancelled.as_str().into()),
        started_at: notification.started_at.clone().or_else(|| Some(began.into())),
        finished_at: Some(clock::now()),
        ..notification.clone()
    }
}

/// Prints why the command is not reported, and runs it. With `--strict` wrong input is found before an hour of build, so the command is not
/// run.
pub fn run_unreported(
    argv: &[OsString],
    global: &GlobalFlags,
    diagnostics: &[Diagnostic],
    strict: bool,
) -> anyhow::Result<ExitCode> {
    print(diagnostics, global);
    match exit_code(diagnostics, strict) {
        0 if global.dry_run => Ok(ExitCode::SUCCESS),
        0 => run(argv),
        refusal => Ok(ExitCode::from(refusal)),
    }
}

/// Runs the command and reports nothing.
fn run(argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = without_token(argv);
    // A `pipefold` within the command has no run to join, and does not warn once more.
    command.env_set(variables::LOCAL, "false");
    Ok(ExitCode::from(match command.spawn() {
        Ok(mut running) => running.wait_alone()?,
        Err(error) => CommandEnd::not_started(&error).code,
    }))
}

/// Continues after a panic, which was printed: a wrapped command runs to its end all the same, and its exit code is passed on.
pub fn despite_a_panic(cli: &Cli) -> ExitCode {
    let (argv, reports) = match &cli.command {
        Start(_) | Finish(_) => (&[] as &[OsString], true),
        Exec(args) => (args.command.as_slice(), true),
        Step(args) => (args.command.as_slice(), true),
        _ => (&[] as &[OsString], false),
    };
    if argv.is_empty() || cli.global.dry_run {
        // A failure of reporting is no failure of the job.
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
