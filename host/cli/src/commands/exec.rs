//! `exec`: a run around a command. Delivery happens beside the command, so that a slow DX costs the build nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pipefold::{Hook, JudgedNotification, Receipt, Status, clock};

use super::beside::{Beside, cancelled, record_beside};
use super::context::{Context, fields, for_the_child, is_strict};
use super::trouble::{Trouble, code, conclude, tell};
use super::{dry_run, step, wrapped};
use crate::args::{ExecArgs, GlobalFlags};
use crate::child::make_private;
use crate::child::{Ended, ReceivedSignal};
use crate::terminal::{ClosingLine, Outcome, say};

/// Time of this process before it reads the clock and after its last line: one with a large policy takes some 25 ms to start and to end.
const START_AND_END: Duration = Duration::from_millis(40);

/// `pipefold exec`
pub fn run(global: &GlobalFlags, args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let arrived = Instant::now();
    make_private();
    let mut context = match Context::load_to_report(global, fields(&args.fields)) {
        Ok(context) => context,
        Err(trouble) => return unreported(global, args, trouble, is_strict(global)),
    };
    if context.within_exec() {
        return step::within(global, context, &args.command);
    }
    let strict = context.settings.strict;
    let troubles = std::mem::take(&mut context.troubles);
    if code(&troubles, strict) == 2 {
        return Ok(conclude(&troubles, global, strict));
    }
    if strict {
        // The command runs only after a verdict, so the build waits for it: no longer than for a start.
        let judges = context.reporter.plugins();
        judges.wait_until(arrived + context.settings.budgets.start);
        if !judges.is_ready() && judges.has_policies() && !global.quiet {
            say(
                "pipefold: the command starts when the policies are compiled; `pipefold component compile` ahead of builds saves this",
            );
        }
    }
    let mut left_out = Vec::new();
    let begun = context
        .notification(Hook::Start)
        .map_err(Trouble::refused)
        .and_then(|mut notification| {
            (notification.step, notification.status) = (None, None);
            notification.finished_at = None;
            if context.settings.dry_run {
                return Ok(Err(notification));
            }
            Ok(Ok(if strict {
                context.reporter.judge(Hook::Start, notification)?
            } else {
                context.judge(Hook::Start, notification, &mut left_out)?
            }))
        });
    let mut troubles = troubles;
    troubles.extend(left_out);
    match begun {
        Err(trouble) => {
            tell(&troubles, global);
            unreported(global, args, trouble, strict)
        }
        Ok(Err(notification)) => {
            dry_run::show(&context, global, Hook::Start, notification, &mut troubles)?;
            Ok(conclude(&troubles, global, strict))
        }
        Ok(Ok(judgement)) => {
            tell(&troubles, global);
            let failed = code(&troubles, strict);
            reported(global, args, context, judgement, failed, arrived)
        }
    }
}

/// Runs the command without reporting it. With `--strict` wrong input is found out before an hour of build, so the command is not run.
fn unreported(global: &GlobalFlags, args: &ExecArgs, trouble: Trouble, strict: bool) -> anyhow::Result<ExitCode> {
    let troubles = [trouble];
    tell(&troubles, global);
    match code(&troubles, strict) {
        0 if global.dry_run => Ok(ExitCode::SUCCESS),
        0 => wrapped::run(&args.command),
        refusal => Ok(ExitCode::from(refusal)),
    }
}

/// Runs the command, reports its start beside it and its end after it.
fn reported(
    global: &GlobalFlags,
    args: &ExecArgs,
    context: Context,
    start: JudgedNotification,
    failed: u8,
    arrived: Instant,
) -> anyhow::Result<ExitCode> {
    let notification = start.notification().clone();
    let began = clock::now();
    let mut command = wrapped::command(&args.command);
    for (name, value) in for_the_child(global, &context, &notification) {
        command.env_set(name, value);
    }
    let spawned = command.spawn();
    let context = Arc::new(context);
    let beside = Beside::begin(Arc::clone(&context), start);

    let (mut running, spawn_failed) = match spawned {
        Ok(running) => (Some(running), None),
        Err(error) => {
            say(&format!("pipefold: {error}"));
            (None, Some(error.code()))
        }
    };
    let mut early = None;
    let ended = running.as_mut().map(|running| {
        let late = || beside.report_late(cancelled(&notification, &began));
        let on_signal = |seen: ReceivedSignal| {
            tracing::info!(signal = seen.name(), "the run is cancelled");
            // At once: an agent may kill a second later.
            early.get_or_insert_with(|| record_beside(&context, Hook::Finish, cancelled(&notification, &began)));
        };
        running.wait(on_signal, context.settings.budgets.stop, late)
    });
    let ended = ended.transpose();
    // Cut off by this process's end, it would leave half a file behind.
    let _ = early.flatten().map(JoinHandle::join);
    let start = beside.end();

    let (mut status, code, duration) = match &ended {
        Ok(Some(ended)) => (status(ended), ended.code, ended.duration),
        Ok(None) => (Status::Failure, spawn_failed.unwrap_or(1), Duration::ZERO),
        Err(_) => (Status::Unknown, 1, Duration::ZERO),
    };
    let mut finish = notification.clone();
    finish.started_at.clone_from(
        &start
            .as_ref()
            .map(|start| start.started_at.clone())
            .or(finish.started_at.clone()),
    );
    finish.finished_at = context
        .settings
        .fields
        .value(pipefold::detect::Field::FinishedAt)
        .map(str::to_owned)
        .or_else(|| clock::after(&began, duration));
    finish.status = Some(status.as_str().into());
    let was_cancelled = matches!(&ended, Ok(Some(ended)) if ended.cancelled);
    let budgets = &context.settings.budgets;
    let mut troubles: Vec<Trouble> = start.iter().flat_map(|receipt| context.told_by(receipt)).collect();
    let mut afterwards = None;
    let left = || {
        afterwards = running.map(|running| running.exit_on_signal(code, budgets.stop));
        let budget = if was_cancelled { budgets.stop } else { budgets.finish };
        // The budget is what all of this costs the build, over the command itself.
        budget.saturating_sub(arrived.elapsed().saturating_sub(duration) + START_AND_END)
    };
    let mut receipt = context.report(Hook::Finish, finish.clone(), left, &mut troubles);
    if status == Status::Success && afterwards.is_some_and(|afterwards| afterwards.was_cancelled()) {
        status = Status::Cancelled;
        finish.status = Some(status.as_str().into());
        receipt = context
            .report(Hook::Finish, finish, || budgets.stop, &mut troubles)
            .or(receipt);
    }
    if let Some(receipt) = &receipt {
        for warning in receipt
            .warnings
            .iter()
            .chain(receipt.delivery.iter().flat_map(|delivery| &delivery.warnings))
        {
            let trouble = Trouble::other(warning.clone());
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
    }
    troubles.extend(receipt.iter().flat_map(|receipt| context.beside(receipt)));
    tell(&troubles, global);
    let undelivered = close(global, &context, status, duration, receipt.as_ref());
    ended?;
    let strict = context.settings.strict;
    troubles.extend(undelivered);
    Ok(ExitCode::from(if code == 0 {
        failed.max(self::code(&troubles, strict))
    } else {
        code
    }))
}

/// Prints the closing line, and returns the trouble in it.
fn close(
    global: &GlobalFlags,
    context: &Context,
    status: Status,
    duration: Duration,
    receipt: Option<&Receipt>,
) -> Option<Trouble> {
    let why = match receipt {
        None => Some("the end of the run is not valid"),
        Some(receipt) if receipt.is_settled() => None,
        Some(receipt) => Some(
            receipt
                .why_not_settled()
                .unwrap_or("the `pipefold exec` around this one delivers it"),
        ),
    };
    let on_disk = receipt.is_some_and(|receipt| receipt.on_disk);
    let told = why.map(|why| context.kept(why, on_disk));
    let discarded = receipt.and_then(Receipt::discarded);
    let outcome = match (&told, receipt) {
        (None, _) if discarded.is_some() => Outcome::Dropped(discarded.unwrap_or_default()),
        (None, _) => Outcome::Delivered,
        (Some(_), None) => Outcome::Refused(why.unwrap_or_default()),
        (Some(_), Some(receipt)) if receipt.is_rejected() => Outcome::Refused(why.unwrap_or_default()),
        (Some(told), _) if on_disk => Outcome::Kept(told.strip_prefix("not delivered: ").unwrap_or(told)),
        (Some(_), _) => Outcome::Lost(why.unwrap_or_default()),
    };
    if !global.quiet {
        ClosingLine {
            status,
            duration,
            outcome,
        }
        .say();
    }
    told.map(Trouble::other)
}

fn status(ended: &Ended) -> Status {
    match ended {
        Ended { cancelled: true, .. } => Status::Cancelled,
        Ended { code: 0, .. } => Status::Success,
        _ => Status::Failure,
    }
}
