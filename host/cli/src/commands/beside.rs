//! What `exec` does beside the command: records the start and delivers, so that a slow disk or DX costs the build nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pipefold::{Budget, Hook, JudgedNotification, Notification, Receipt, Status, clock};

use super::context::Context;

/// A command that ends sooner is reported in one request instead of two: about what a first connection to DX takes anyway.
const PAUSE_BEFORE_START: Duration = Duration::from_millis(20);
/// The pause between two looks for an urgent step of a process within the command.
const LOOK: Duration = Duration::from_secs(1);
/// Policies are compiled beside the command for as long as it runs: as for budgets, a day stands for ever.
const LONGEST_BUILD: Duration = Duration::from_hours(24);
/// The longest pause between two tries of what DX did not take.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most that one delivery beside the command may take; a hanging DX is then tried again.
const BESIDE: Duration = Duration::from_secs(10);

/// The work beside the command: recording the start, and delivering.
pub struct Beside {
    context: Arc<Context>,
    budget: Budget,
    over: Sender<()>,
    started: Receiver<Receipt>,
}

impl Beside {
    pub fn begin(context: Arc<Context>, start: JudgedNotification) -> Self {
        let (over, is_over) = channel();
        let (starting, started) = channel();
        // Longer than any build; its end comes by `cancel`.
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
            // A system without a thread to spare: the start is recorded here, and all is delivered at the end.
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
    pub fn report_late(&self, finish: Notification) {
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

    /// Ends the work and gives the receipt of the start, which is recorded by now. A request that hangs is not waited for.
    pub fn end(self) -> Option<Receipt> {
        self.budget.cancel();
        let _ = self.over.send(());
        self.started.recv().ok()
    }
}

fn deliver_beside(context: &Context, reference_id: &str, budget: &Budget, is_over: &Receiver<()>) {
    let mut pause = PAUSE_BEFORE_START;
    let mut known = BTreeSet::new();
    let (mut again, mut longer) = (Instant::now(), LOOK);
    while let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(pause) {
        pause = LOOK;
        let waiting = context.reporter.waiting(reference_id);
        let is_news = !waiting.is_subset(&known);
        if waiting.is_empty() || (!is_news && again > Instant::now()) {
            continue;
        }
        if is_news {
            longer = LOOK;
        }
        // Listed before: what comes meanwhile is news.
        known = waiting;
        let delivery = context
            .reporter
            .deliver(Some(reference_id), &budget.within(BESIDE), false);
        tracing::debug!(?delivery, "delivered beside the command");
        // What could not be sent now is tried again at longer and longer distances, and with the end of the run.
        (again, longer) = (Instant::now() + longer, (longer * 2).min(LONGEST_PAUSE));
    }
}

/// Records a cancellation in a thread of its own, or here where there is none. The thread is to be waited for: cut off by this process's end,
/// it would leave half a file behind.
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

/// The end of a run or a step whose command was asked to stop and has not yet.
pub fn cancelled(notification: &Notification, began: &str) -> Notification {
    let now = clock::now();
    Notification {
        status: Some(Status::Cancelled.as_str().into()),
        started_at: notification.started_at.clone().or_else(|| Some(began.into())),
        finished_at: Some(now),
        ..notification.clone()
    }
}
