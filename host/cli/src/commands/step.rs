//! `step`: a step of a run, reported or run.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pipefold::config::{Origin, Sourced};
use pipefold::detect::Field;
use pipefold::{Hook, Notification, clock};

use super::beside::{cancelled, record_beside};
use super::context::{Context, for_the_child, is_strict};
use super::notify::{self, step_fields};
use super::trouble::{Trouble, code, tell};
use super::{dry_run, wrapped};
use crate::args::{GlobalFlags, StepArgs};
use crate::child::make_private;
use crate::terminal::say;

/// `pipefold step`
pub fn run(global: &GlobalFlags, args: &StepArgs) -> anyhow::Result<ExitCode> {
    if args.command.is_empty() {
        return notify::step(global, args);
    }
    make_private();
    match Context::load_to_report(global, step_fields(args)) {
        Ok(context) => reported(global, context, &args.command),
        Err(trouble) => {
            let troubles = [trouble];
            tell(&troubles, global);
            match code(&troubles, is_strict(global)) {
                0 if global.dry_run => Ok(ExitCode::SUCCESS),
                0 => wrapped::run(&args.command),
                refusal => Ok(ExitCode::from(refusal)),
            }
        }
    }
}

/// An `exec` within an `exec` of the same run: a step of it, named after its command unless --step names it.
pub fn within(global: &GlobalFlags, mut context: Context, command: &[OsString]) -> anyhow::Result<ExitCode> {
    // The name of the job, which the outer `exec` is about, says nothing of this command.
    let of_the_job = |step: &Sourced<String>| matches!(step.origin, Origin::Detected { .. });
    if context.settings.fields.get(Field::Step).is_none_or(of_the_job) {
        let program = command
            .first()
            .map(Path::new)
            .and_then(Path::file_name)
            .unwrap_or_default();
        context.settings.fields.set_flag(Field::Step, program.to_string_lossy());
    }
    reported(global, context, command)
}

fn reported(global: &GlobalFlags, mut context: Context, argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let strict = context.settings.strict;
    let mut troubles = std::mem::take(&mut context.troubles);
    let notification = match context
        .notification(Hook::Step)
        .map_err(Trouble::refused)
        .and_then(|notification| {
            // What is wrong is found before the command runs, and not after an hour of it.
            context.judge(Hook::Step, notification, &mut troubles)
        }) {
        Ok(judgement) => judgement.notification().clone(),
        Err(trouble) => {
            troubles.push(trouble);
            tell(&troubles, global);
            return match code(&troubles, strict) {
                0 => wrapped::run(argv),
                refusal => Ok(ExitCode::from(refusal)),
            };
        }
    };
    if context.settings.dry_run {
        dry_run::show(&context, global, Hook::Step, notification, &mut troubles)?;
        return Ok(super::trouble::conclude(&troubles, global, strict));
    }
    let mut command = wrapped::command(argv);
    for (name, value) in for_the_child(global, &context, &notification) {
        // A step delivers nothing for what runs within it, so it is not the one to wait for.
        if name != pipefold::config::variables::OUTER || context.within_exec() {
            command.env_set(name, value);
        }
    }
    let began = clock::now();
    let context = Arc::new(context);
    let mut early = None;
    let (status, exit, duration) = match command.spawn() {
        Ok(mut running) => {
            let on_signal = |_| {
                // At once: an agent may kill in a second.
                early.get_or_insert_with(|| record_beside(&context, Hook::Step, cancelled(&notification, &began)));
            };
            let ended = running.wait(on_signal, Duration::MAX, || {});
            let _ = early.flatten().map(JoinHandle::join);
            let ended = ended?;
            let status = match (ended.cancelled, ended.code) {
                (true, _) => "cancelled",
                (false, 0) => "success",
                (false, _) => "failure",
            };
            (status, ended.code, ended.duration)
        }
        Err(error) => {
            say(&format!("pipefold: {error}"));
            ("failure", error.code(), Duration::ZERO)
        }
    };
    let given = |field| context.settings.fields.value(field).map(str::to_owned);
    let ended = Notification {
        started_at: given(Field::StartedAt).or_else(|| Some(began.clone())),
        finished_at: given(Field::FinishedAt).or_else(|| clock::after(&began, duration)),
        status: Some(status.into()),
        ..notification
    };
    let budget = context.settings.budgets.start;
    if let Some(receipt) = context.report(Hook::Step, ended, || budget, &mut troubles) {
        troubles.extend(Context::dropped(&receipt));
        troubles.extend(context.told_by(&receipt));
    }
    tell(&troubles, global);
    Ok(ExitCode::from(if exit == 0 { code(&troubles, strict) } else { exit }))
}
