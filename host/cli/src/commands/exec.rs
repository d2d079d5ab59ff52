//! `exec`: a run around a command. Delivery happens beside the command, so that a slow DX costs the build nothing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pipefold::detect::Field;
use pipefold::{Budget, Hook, JudgedNotification, Monitoring, Notification, Receipt, Status, clock};

use super::context::{Context, fields, is_strict};
use super::diagnostic::{Diagnostic, conclude, exit_code, print, remark};
use super::policies::say_work;
use super::report::{print_request, step_within_exec};
use super::wrapped::{self, CommandEnd, cancelled, record_beside};
use crate::args::{ExecArgs, GlobalFlags};
use crate::child::{ReceivedSignal, Running, make_private};

/// The time of this process before it reads the clock and after its last line: with a large policy it takes some 25 ms to start and to end.
const START_AND_END: Duration = Duration::from_millis(40);

/// `pipefold exec`
pub fn run(global: &GlobalFlags, args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let arrived = Instant::now();
    make_private();
    let (context, mut diagnostics) = match Context::load_to_report(global, fields(&args.fields)) {
        Ok(loaded) => loaded,
        Err(why) => return wrapped::run_unreported(&args.command, global, &[why], is_strict(global)),
    };
    if context.within_exec() {
        return step_within_exec(global, context, diagnostics, &args.command);
    }
    if global.verbose > 0 {
        // Beside the command there is time to compile what is asked for the sake of a line.
        context.reporter.plugins().set_monitoring(Monitoring::Compile);
    }
    let strict = context.settings.strict;
    if exit_code(&diagnostics, strict) == 2 {
        return Ok(conclude(&diagnostics, global, strict));
    }
    if strict {
        // The command runs only after a verdict, so the build waits for it: no longer than for a start.
        let plugins = context.reporter.plugins();
        plugins.wait_until(arrived + context.settings.budgets.start);
        if !plugins.is_ready() && plugins.has_policies() {
            remark(
                global,
                "the command starts when the policies are compiled; `pipefold component compile` ahead of builds saves this",
            );
        }
    }
    let start = context.notification(Hook::Start).map(|notification| Notification {
        step: None,
        status: None,
        finished_at: None,
        ..notification
    });
    let judged = match start {
        Ok(start) if context.settings.dry_run => {
            print_request(&context, global, Hook::Start, start, &mut diagnostics)?;
            return Ok(conclude(&diagnostics, global, strict));
        }
        Ok(start) if strict => context.reporter.judge(Hook::Start, start).map_err(Diagnostic::from),
        Ok(start) => context.judge(Hook::Start, start, &mut diagnostics),
        Err(violations) => Err(Diagnostic::refused(violations)),
    };
    print(&diagnostics, global);
    let start = match judged {
        Ok(judged) => judged,
        Err(refused) => return wrapped::run_unreported(&args.command, global, &[refused], strict),
    };
    let run = ReportedRun {
        global,
        context: Arc::new(context),
        start: start.notification().clone(),
        began: clock::now(),
        arrived,
    };
    let code = run.report(&args.command, start, exit_code(&diagnostics, strict))?;
    Ok(ExitCode::from(code))
}

/// A run that is reported around its command.
struct ReportedRun<'a> {
    global: &'a GlobalFlags,
    context: Arc<Context>,
    start: Notification,
    /// The moment of the command's start.
    began: String,
    /// The moment of this process's start.
    arrived: Instant,
}

/// A command that has ended, with the receipt of its run's start.
struct Executed {
    /// None if the command could not start.
    running: Option<Running>,
    end: CommandEnd,
    started: Option<Receipt>,
    /// The error of the wait for the command's end, which is then not known.
    error: Option<io::Error>,
}

impl ReportedRun<'_> {
    /// Runs the command, reports its start beside it and its end after it, and returns the exit code. `failed` is that of earlier warnings.
    fn report(&self, argv: &[OsString], start: JudgedNotification, failed: u8) -> anyhow::Result<u8> {
        let context = &self.context;
        let Executed {
            running,
            mut end,
            started,
            error,
        } = self.execute(argv, start);
        let mut diagnostics: Vec<Diagnostic> = started.iter().flat_map(|start| context.problems(start)).collect();
        let receipt = self.report_end(running, &mut end, started, &mut diagnostics);
        if let Some(receipt) = &receipt {
            let delivered = receipt.delivery.iter().flat_map(|delivery| &delivery.warnings);
            for warning in receipt.warnings.iter().chain(delivered) {
                let warning = Diagnostic::failure(warning.clone());
                if !diagnostics.contains(&warning) {
                    diagnostics.push(warning);
                }
            }
            diagnostics.extend(context.other_runs(receipt));
        }
        print(&diagnostics, self.global);
        let undelivered = context.close(self.global, end.status, end.duration, receipt.as_ref());
        say_work(context.reporter.plugins(), self.global);
        if let Some(error) = error {
            return Err(error.into());
        }
        diagnostics.extend(undelivered);
        Ok(match end.code {
            0 => failed.max(exit_code(&diagnostics, context.settings.strict)),
            code => code,
        })
    }

    /// Runs the command, and records and delivers the start of its run beside it.
    fn execute(&self, argv: &[OsString], start: JudgedNotification) -> Executed {
        let spawned = wrapped::command(argv, self.global, &self.context, &self.start, Hook::Start).spawn();
        let delivery = RunDelivery::begin(Arc::clone(&self.context), start);
        let mut running = match spawned {
            Ok(running) => running,
            Err(error) => {
                return Executed {
                    running: None,
                    end: CommandEnd::not_started(&error),
                    started: delivery.end(),
                    error: None,
                };
            }
        };
        let cancelled = || cancelled(&self.start, &self.began);
        let mut early = None;
        let on_signal = |signal: ReceivedSignal| {
            tracing::info!(signal = signal.name(), "the run is cancelled");
            // At once: an agent may kill a second later.
            early.get_or_insert_with(|| record_beside(&self.context, Hook::Finish, cancelled()));
        };
        let late = || delivery.report_late(cancelled());
        let ended = running.wait(on_signal, self.context.settings.budgets.stop, late);
        // Cut off by this process's end, the thread would leave half a file behind.
        let _ = early.flatten().map(JoinHandle::join);
        let (end, error) = match ended {
            Ok(ended) => (ended.into(), None),
            Err(error) => (CommandEnd::UNKNOWN, Some(error)),
        };
        Executed {
            running: Some(running),
            end,
            started: delivery.end(),
            error,
        }
    }

    /// Reports the end of the run. A signal soon after a success makes it a cancellation in `end`.
    fn report_end(
        &self,
        running: Option<Running>,
        end: &mut CommandEnd,
        started: Option<Receipt>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Receipt> {
        let context = &self.context;
        let finished_at = context.settings.fields.value(Field::FinishedAt).map(str::to_owned);
        let mut finish = Notification {
            started_at: started
                .map(|start| start.started_at)
                .or_else(|| self.start.started_at.clone()),
            finished_at: finished_at.or_else(|| clock::after(&self.began, end.duration)),
            status: Some(end.status.as_str().into()),
            ..self.start.clone()
        };
        let budgets = &context.settings.budgets;
        let mut late_signals = None;
        let budget = || {
            late_signals = running.map(|running| running.exit_on_signal(end.code, budgets.stop));
            let budget = match end.status {
                Status::Cancelled => budgets.stop,
                _ => budgets.finish,
            };
            // The budget is the time that all of this costs the build, beyond the command itself.
            budget.saturating_sub(self.arrived.elapsed().saturating_sub(end.duration) + START_AND_END)
        };
        let receipt = context.report(Hook::Finish, finish.clone(), budget, diagnostics);
        if end.status != Status::Success || !late_signals.is_some_and(|late| late.was_cancelled()) {
            return receipt;
        }
        end.status = Status::Cancelled;
        finish.status = Some(end.status.as_str().into());
        let cancelled = context.report(Hook::Finish, finish, || budgets.stop, diagnostics);
        cancelled.or(receipt)
    }
}

/// The pause before the start is sent: a command that ends sooner is reported in one request instead of two. A first connection to DX takes
/// about as long.
const PAUSE_BEFORE_START: Duration = Duration::from_millis(20);

/// The pause between two checks for an urgent step of a process within the command.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait for policies that are compiled beside the command: as for budgets, a day means without limit.
const LONGEST_BUILD: Duration = Duration::from_hours(24);

/// The longest pause between two tries of a request that DX did not accept.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest delivery beside the command; a hanging DX is then tried again.
const ONE_DELIVERY: Duration = Duration::from_secs(10);

/// The work beside the command, so that a slow disk or DX costs the build nothing: it records the start and delivers the run.
struct RunDelivery {
    context: Arc<Context>,
    budget: Budget,
    over: Sender<()>,
    started: Receiver<Receipt>,
}

impl RunDelivery {
    fn begin(context: Arc<Context>, start: JudgedNotification) -> Self {
        let (over, is_over) = channel();
        let (starting, started) = channel();
        // Longer than any build; `cancel` ends it.
        let budget = Budget::new(Duration::MAX);
        let work = {
            let (context, budget, start, starting) =
                (Arc::clone(&context), budget.clone(), start.clone(), starting.clone());
            move || {
                context.reporter.plugins().wait_until(Instant::now() + LONGEST_BUILD);
                let receipt = context.reporter.record_judged(start);
                let id = receipt.reference_id.clone();
                if starting.send(receipt).is_ok() {
                    deliver_beside(&context, &id, &budget, &is_over);
                }
            }
        };
        if thread::Builder::new().name("delivery".into()).spawn(work).is_err() {
            // Without a thread, the start is recorded here, and all is delivered at the end.
            let _ = starting.send(context.reporter.record_judged(start));
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
            if let Ok(receipt) = context.reporter.record_at_once(Hook::Finish, finish) {
                let _ = context
                    .reporter
                    .deliver_recorded(receipt, &Budget::new(context.settings.budgets.stop), true);
            }
        };
        let _ = thread::Builder::new().name("cancelled".into()).spawn(report);
    }

    /// Ends the work and returns the receipt of the start, which is recorded by now. A hanging request is not waited for.
    fn end(self) -> Option<Receipt> {
        self.budget.cancel();
        let _ = self.over.send(());
        self.started.recv().ok()
    }
}

fn deliver_beside(context: &Context, reference_id: &str, budget: &Budget, is_over: &Receiver<()>) {
    let mut pause = PAUSE_BEFORE_START;
    let mut known = BTreeSet::new();
    let (mut again, mut longer) = (Instant::now(), CHECK_PAUSE);
    while let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(pause) {
        pause = CHECK_PAUSE;
        let waiting = context.reporter.waiting(reference_id);
        let is_news = !waiting.is_subset(&known);
        if waiting.is_empty() || (!is_news && again > Instant::now()) {
            continue;
        }
        if is_news {
            longer = CHECK_PAUSE;
        }
        // Listed before the delivery: notifications that arrive meanwhile are news.
        known = waiting;
        let delivery = context
            .reporter
            .deliver(Some(reference_id), &budget.within(ONE_DELIVERY), false);
        tracing::debug!(?delivery, "delivered beside the command");
        // A failed request is tried again after longer and longer pauses, and with the end of the run.
        (again, longer) = (Instant::now() + longer, (longer * 2).min(LONGEST_PAUSE));
    }
}
