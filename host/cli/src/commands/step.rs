//! `step`: a part of a run, told of or run.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use pipefold::detect::Field;
use pipefold::{Budget, Hook, Notification, clock};

use super::context::{Context, for_the_child, is_strict};
use super::dry_run;
use super::notify::{self, step_fields, told_by};
use super::trouble::{Trouble, code, tell};
use crate::args::{GlobalFlags, StepArgs};
use crate::child::Command;
use crate::privacy::make_private;
use crate::terminal::say;

/// How long a command that was asked to stop is waited for before anything else happens; a step reports only at its end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// `pipefold step`
pub(crate) fn run(global: &GlobalFlags, args: &StepArgs) -> anyhow::Result<ExitCode> {
    if args.command.is_empty() {
        return notify::step(global, args);
    }
    if let Err(error) = make_private() {
        tracing::info!(%error, "this process's entry in /proc stays readable");
    }
    match Context::load(global, step_fields(args)) {
        Ok(context) => wrapped(global, context, &args.command),
        Err(trouble) => {
            let troubles = [trouble];
            tell(&troubles, global);
            match code(&troubles, is_strict(global)) {
                0 => plain(&args.command),
                refusal => Ok(ExitCode::from(refusal)),
            }
        }
    }
}

/// An `exec` within an `exec` of the same run: a step of it, named after its command unless it has a name.
pub(crate) fn within(global: &GlobalFlags, mut context: Context, command: &[OsString]) -> anyhow::Result<ExitCode> {
    if context.settings.fields.get(Field::Step).is_none() {
        let program = command
            .first()
            .map(Path::new)
            .and_then(Path::file_name)
            .unwrap_or_default();
        context.settings.fields.set_flag(Field::Step, program.to_string_lossy());
    }
    wrapped(global, context, command)
}

/// Runs the command without reporting it.
fn plain(argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = Command::new(argv);
    command.env_remove(pipefold::config::variables::DX_API_TOKEN);
    match command.spawn() {
        Ok(mut running) => Ok(ExitCode::from(running.wait(|_| {}, GRACE, || {})?.code)),
        Err(error) => {
            say(&format!("pipefold: {error}"));
            Ok(ExitCode::from(error.code()))
        }
    }
}

fn wrapped(global: &GlobalFlags, mut context: Context, argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let strict = context.settings.strict;
    let mut troubles = std::mem::take(&mut context.troubles);
    let notification = match context
        .notification()
        .map_err(Trouble::refused)
        .and_then(|notification| {
            // What is wrong is found before the command runs, and not after an hour of it.
            context.reporter.judge(Hook::Step, notification).map_err(Trouble::from)
        }) {
        Ok(judgement) => judgement.notification().clone(),
        Err(trouble) => {
            troubles.push(trouble);
            tell(&troubles, global);
            return match code(&troubles, strict) {
                0 => plain(argv),
                refusal => Ok(ExitCode::from(refusal)),
            };
        }
    };
    if context.settings.dry_run {
        dry_run::show(&context, global, Hook::Step, notification, &mut troubles)?;
        return Ok(super::trouble::conclude(&troubles, global, strict));
    }
    let mut command = Command::new(argv);
    command.env_remove(pipefold::config::variables::DX_API_TOKEN);
    for (name, value) in for_the_child(&context, &notification) {
        // A step delivers nothing for what runs within it, so it is not the one to wait for.
        if name != pipefold::config::variables::OUTER || context.within_exec() {
            command.env_set(name, value);
        }
    }
    let began = clock::now();
    let (status, exit, duration) = match command.spawn() {
        Ok(mut running) => {
            let ended = running.wait(|_| {}, GRACE, || {})?;
            let status = match (ended.interrupted, ended.code) {
                (Some(_), _) => "cancelled",
                (None, 0) => "success",
                (None, _) => "failure",
            };
            (status, ended.code, ended.duration)
        }
        Err(error) => {
            say(&format!("pipefold: {error}"));
            ("failure", error.code(), std::time::Duration::ZERO)
        }
    };
    let given = |field| context.settings.fields.value(field).map(str::to_owned);
    let ended = Notification {
        started_at: given(Field::StartedAt).or_else(|| Some(began.clone())),
        finished_at: given(Field::FinishedAt).or_else(|| clock::after(&began, duration)),
        status: Some(status.into()),
        ..notification
    };
    let urgent = ended.urgent;
    match context.reporter.record(Hook::Step, ended) {
        Ok(receipt) if context.within_exec() || (!urgent && receipt.on_disk) => {
            troubles.extend(told_by(&receipt, &context))
        }
        Ok(receipt) => {
            let budget = Budget::new(context.settings.budgets.start);
            troubles.extend(told_by(
                &context.reporter.and_deliver(receipt, &budget, false),
                &context,
            ));
        }
        Err(refused) => troubles.push(refused.into()),
    }
    tell(&troubles, global);
    Ok(ExitCode::from(if exit == 0 { code(&troubles, strict) } else { exit }))
}
