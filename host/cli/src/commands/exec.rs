//! `exec`: a run around a command. Delivery happens beside the command, so that a slow DX costs the build nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use pipefold::{Budget, Hook, Judgement, Notification, Receipt, Status, clock};

use super::context::{Context, fields, for_the_child, is_strict};
use super::notify::{kept, told_by};
use super::trouble::{Trouble, code, tell};
use super::{dry_run, step};
use crate::args::{ExecArgs, GlobalFlags};
use crate::child::{Command, Ended};
use crate::privacy::make_private;
use crate::terminal::{Closing, Fate, Paint, say};

/// A command that ends sooner is reported in one request instead of two: about what a first connection to DX takes anyway.
const PAUSE_BEFORE_START: Duration = Duration::from_millis(20);
/// How often to look whether something within the command left an urgent step.
const LOOK: Duration = Duration::from_secs(1);
/// The most that one delivery beside the command may take; a hanging DX then is tried anew.
const BESIDE: Duration = Duration::from_secs(10);
/// How long a command that was asked to stop may take before `cancelled` is reported without it: CI systems kill some seconds later.
const GRACE: Duration = Duration::from_secs(2);

/// `pipefold exec`
pub(crate) fn run(global: &GlobalFlags, args: &ExecArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = make_private() {
        tracing::info!(%error, "this process's entry in /proc stays readable");
    }
    let mut context = match Context::load(global, fields(&args.fields)) {
        Ok(context) => context,
        Err(trouble) => return unreported(global, args, trouble, is_strict(global)),
    };
    if context.within_exec() {
        return step::within(global, context, &args.command);
    }
    let strict = context.settings.strict;
    let troubles = std::mem::take(&mut context.troubles);
    let begun = context
        .notification()
        .map_err(Trouble::refused)
        .and_then(|mut notification| {
            (notification.step, notification.status, notification.finished_at) = (None, None, None);
            if context.settings.dry_run {
                return Ok(Err(notification));
            }
            Ok(Ok(context.reporter.judge(Hook::Start, notification)?))
        });
    match begun {
        Err(trouble) => {
            tell(&troubles, global);
            unreported(global, args, trouble, strict)
        }
        Ok(Err(notification)) => {
            let mut troubles = troubles;
            dry_run::show(&context, global, Hook::Start, notification, &mut troubles)?;
            Ok(super::trouble::conclude(&troubles, global, strict))
        }
        Ok(Ok(judgement)) => {
            tell(&troubles, global);
            let failed = code(&troubles, strict);
            reported(global, args, context, judgement, failed)
        }
    }
}

/// Runs the command without reporting it. With `--strict` wrong input is found out before an hour of build, so the command is not run.
fn unreported(global: &GlobalFlags, args: &ExecArgs, trouble: Trouble, strict: bool) -> anyhow::Result<ExitCode> {
    let troubles = [trouble];
    tell(&troubles, global);
    let refusal = code(&troubles, strict);
    if refusal != 0 {
        return Ok(ExitCode::from(refusal));
    }
    match command(args).spawn() {
        Ok(mut running) => Ok(ExitCode::from(running.wait(|_| {}, GRACE, || {})?.code)),
        Err(error) => {
            say(&format!("pipefold: {error}"));
            Ok(ExitCode::from(error.code()))
        }
    }
}

fn command(args: &ExecArgs) -> Command {
    let mut command = Command::new(&args.command);
    command.env_remove(pipefold::config::variables::DX_API_TOKEN);
    command
}

/// Runs the command, tells of its start beside it and of its end after it.
fn reported(
    global: &GlobalFlags,
    args: &ExecArgs,
    context: Context,
    start: Judgement,
    failed: u8,
) -> anyhow::Result<ExitCode> {
    let notification = start.notification().clone();
    let began = clock::now();
    let mut command = command(args);
    for (name, value) in for_the_child(&context, &notification) {
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
    let ended = running.as_mut().map(|running| {
        let late = || beside.report_late(cancelled(&notification, &began));
        running.wait(
            |seen| tracing::info!(signal = seen.name(), "the run is cancelled"),
            GRACE,
            late,
        )
    });
    let ended = ended.transpose();
    let start = beside.end();

    let (status, code, duration) = match &ended {
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
    let was_interrupted = matches!(&ended, Ok(Some(ended)) if ended.interrupted.is_some());
    let recorded = context.reporter.record(Hook::Finish, finish);
    let budget = if was_interrupted {
        context.settings.budgets.stop
    } else {
        context.settings.budgets.finish
    };
    if let Some(running) = running {
        running.exit_on_signal(code, context.settings.budgets.stop);
    }
    let mut troubles: Vec<Trouble> = start.iter().flat_map(|receipt| told_by(receipt, &context)).collect();
    let receipt = match recorded {
        Ok(receipt) => Some(context.reporter.and_deliver(receipt, &Budget::new(budget), true)),
        Err(refused) => {
            troubles.push(refused.into());
            None
        }
    };
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

/// Says the one closing line, and gives what it told of trouble.
fn close(
    global: &GlobalFlags,
    context: &Context,
    status: Status,
    duration: Duration,
    receipt: Option<&Receipt>,
) -> Option<Trouble> {
    let why = match receipt {
        None => Some("the end of the run is not valid".to_owned()),
        Some(receipt) if receipt.is_settled() => None,
        Some(receipt) => Some(
            receipt
                .trouble()
                .unwrap_or("another process is delivering, and may take it along")
                .into(),
        ),
    };
    let on_disk = receipt.is_some_and(|receipt| receipt.on_disk);
    let told = why.as_ref().map(|why| kept(why, on_disk, context));
    let fate = match (&told, receipt) {
        (None, _) => Fate::Delivered,
        (Some(_), None) => Fate::Refused(why.as_deref().unwrap_or_default()),
        (Some(_), Some(receipt)) if receipt.is_rejected() => Fate::Refused(why.as_deref().unwrap_or_default()),
        (Some(told), _) if on_disk => Fate::Kept(told.strip_prefix("not delivered yet: ").unwrap_or(told)),
        (Some(_), _) => Fate::Lost(why.as_deref().unwrap_or_default()),
    };
    if !global.quiet {
        say(&Closing { status, duration, fate }.line(Paint::of_stderr()));
    }
    told.map(Trouble::other)
}

fn status(ended: &Ended) -> Status {
    match ended {
        Ended {
            interrupted: Some(_), ..
        } => Status::Cancelled,
        Ended { code: 0, .. } => Status::Success,
        _ => Status::Failure,
    }
}

/// The end of a run whose command was asked to stop and has not yet.
fn cancelled(notification: &Notification, began: &str) -> Notification {
    let now = clock::now();
    Notification {
        status: Some(Status::Cancelled.as_str().into()),
        started_at: notification.started_at.clone().or_else(|| Some(began.into())),
        finished_at: Some(now),
        ..notification.clone()
    }
}

/// The work beside the command: recording the start, and delivering.
struct Beside {
    context: Arc<Context>,
    budget: Budget,
    over: Sender<()>,
    started: Receiver<Receipt>,
}

impl Beside {
    fn begin(context: Arc<Context>, start: Judgement) -> Self {
        let (over, is_over) = channel();
        let (starting, started) = channel();
        // Longer than any build; its end comes by `cancel`.
        let budget = Budget::new(Duration::MAX);
        let work = {
            let (context, budget, start, starting) =
                (Arc::clone(&context), budget.clone(), start.clone(), starting.clone());
            move || {
                let receipt = context.reporter.keep(start);
                let id = receipt.reference_id.clone();
                if starting.send(receipt).is_ok() {
                    deliver_beside(&context, &id, &budget, &is_over);
                }
            }
        };
        if thread::Builder::new().name("delivery".into()).spawn(work).is_err() {
            // A system without a thread to spare: the start is recorded here, and all is delivered at the end.
            let _ = starting.send(context.reporter.keep(start));
        }
        Self {
            context,
            budget,
            over,
            started,
        }
    }

    /// Reports the run's end while its command still runs.
    fn report_late(&self, finish: Notification) {
        self.budget.cancel();
        let context = Arc::clone(&self.context);
        let report = move || {
            if let Ok(receipt) = context.reporter.record(Hook::Finish, finish) {
                let _ = context
                    .reporter
                    .and_deliver(receipt, &Budget::new(context.settings.budgets.stop), true);
            }
        };
        let _ = thread::Builder::new().name("cancelled".into()).spawn(report);
    }

    /// Ends the work and gives the receipt of the start, which is recorded by now. A request that hangs is not waited for.
    fn end(self) -> Option<Receipt> {
        self.budget.cancel();
        let _ = self.over.send(());
        self.started.recv().ok()
    }
}

fn deliver_beside(context: &Context, reference_id: &str, budget: &Budget, is_over: &Receiver<()>) {
    let mut pause = PAUSE_BEFORE_START;
    let mut known = 0;
    while let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(pause) {
        pause = LOOK;
        let waiting = context.reporter.waiting(reference_id);
        if waiting == known {
            continue;
        }
        let delivery = context
            .reporter
            .deliver(Some(reference_id), &budget.within(BESIDE), false);
        tracing::debug!(?delivery, "delivered beside the command");
        // What could not be sent now is sent with the end of the run; only something new is a reason to try again before.
        known = context.reporter.waiting(reference_id);
    }
}
