//! The delivery beside the reading, so that a slow DX does not slow the reading down, nor the other way round.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pipefold::{Budget, Delivery, Flush};

use crate::commands::context::Context;

/// The least time between two deliveries: each reads every run in the spool, so it is worth waiting for a few more.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that one delivery takes; a hanging DX is then tried again.
const ONE: Duration = Duration::from_secs(30);

/// The state that the thread and its owner share: requests to the thread, and results so far.
#[derive(Default)]
struct DeliveryState {
    news: bool,
    over: bool,
    accepted: usize,
    rejected: Vec<String>,
    rejected_count: usize,
    warnings: Vec<String>,
    /// The reason why nothing can be delivered at all.
    impossible: Option<String>,
}

/// The result of all deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryTotals {
    /// Requests that DX accepted.
    pub accepted: usize,
    /// Number of runs that DX or the rules refused for good.
    pub rejected: usize,
    /// The first of them, with the reasons.
    pub refusals: Vec<String>,
    /// Number of runs that wait.
    pub waiting: usize,
    /// The reason why the first of them waits.
    pub why: Option<String>,
    /// Warnings that stopped nothing.
    pub warnings: Vec<String>,
}

/// A thread that delivers the recorded runs.
pub struct BackgroundDelivery {
    context: Arc<Context>,
    board: Arc<(Mutex<DeliveryState>, Condvar)>,
    budget: Budget,
    thread: Option<JoinHandle<()>>,
}

impl BackgroundDelivery {
    pub fn begin(context: Arc<Context>) -> Self {
        let board: Arc<(Mutex<DeliveryState>, Condvar)> = Arc::default();
        // Its end comes by `cancel`.
        let budget = Budget::new(Duration::MAX);
        let work = {
            let (context, board, budget) = (Arc::clone(&context), Arc::clone(&board), budget.clone());
            move || deliver_on(&context, &board, &budget)
        };
        // A system without a thread to spare: all is delivered at the end.
        let thread = thread::Builder::new().name("delivery".into()).spawn(work).ok();
        Self {
            context,
            board,
            budget,
            thread,
        }
    }

    /// Makes the thread deliver again: there are new records, or another try may succeed.
    pub fn wake(&self) {
        lock(&self.board).news = true;
        self.board.1.notify_all();
    }

    /// Number of requests that DX accepted so far.
    pub fn accepted(&self) -> usize {
        lock(&self.board).accepted
    }

    /// The reason why nothing can be delivered at all, if so.
    pub fn impossible(&self) -> Option<String> {
        lock(&self.board).impossible.clone()
    }

    /// Ends the thread, delivers the remaining runs as long as DX accepts one within each `patience`, and sums up. With `hurry` it tries once.
    pub fn end(mut self, patience: Duration, hurry: bool) -> DeliveryTotals {
        {
            lock(&self.board).over = true;
            self.board.1.notify_all();
        }
        self.budget.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let last = loop {
            // Includes runs that pause after a failed try: DX may accept them now.
            let delivery = self.context.reporter.flush(&Budget::new(patience), &Flush::default());
            lock(&self.board).take(&delivery);
            if hurry || delivery.accepted == 0 || delivery.kept_count + delivery.not_attempted == 0 {
                break delivery;
            }
        };
        let mut board = lock(&self.board);
        let waiting = match (&last.impossible, last.busy) {
            (None, false) => last.kept_count + last.not_attempted + last.others_wait,
            // There was no time for them.
            _ => self
                .context
                .reporter
                .overview()
                .map_or(0, |overview| overview.waiting_count),
        };
        let why = last.impossible.clone().or_else(|| {
            let of_another = || {
                last.busy
                    .then(|| "another process is delivering, and may send them".to_owned())
            };
            let of_time = || (waiting > 0).then(|| "there was no time left to send them".to_owned());
            let kept = last.kept.first().map(|kept| kept.why.clone());
            kept.or_else(|| last.put_off.clone())
                .or_else(of_another)
                .or_else(of_time)
        });
        DeliveryTotals {
            accepted: board.accepted,
            rejected: board.rejected_count,
            refusals: std::mem::take(&mut board.rejected),
            waiting,
            why: why.filter(|_| waiting > 0),
            warnings: std::mem::take(&mut board.warnings),
        }
    }
}

/// The number of refusals and warnings that are named; the counts are complete.
const MOST_NAMED: usize = 10;

impl DeliveryState {
    fn take(&mut self, delivery: &Delivery) {
        self.accepted += delivery.accepted;
        self.rejected_count += delivery.rejected_count;
        self.impossible.clone_from(&delivery.impossible);
        for kept in &delivery.rejected {
            if self.rejected.len() < MOST_NAMED {
                self.rejected.push(format!("{}: {}", kept.reference_id, kept.why));
            }
        }
        for warning in &delivery.warnings {
            if self.warnings.len() < MOST_NAMED && !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }
}

fn lock(board: &(Mutex<DeliveryState>, Condvar)) -> MutexGuard<'_, DeliveryState> {
    board.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deliver_on(context: &Context, board: &(Mutex<DeliveryState>, Condvar), budget: &Budget) {
    loop {
        {
            let idle = |board: &mut DeliveryState| !board.news && !board.over;
            let waited = board.1.wait_while(lock(board), idle);
            let mut board = waited.unwrap_or_else(PoisonError::into_inner);
            if board.over {
                return;
            }
            board.news = false;
        }
        let begun = Instant::now();
        let delivery = context.reporter.deliver(None, &budget.within(ONE), false);
        tracing::debug!(?delivery, "delivered beside the reading");
        let is_behind = delivery.accepted > 0 && delivery.not_attempted > 0;
        {
            let mut board = lock(board);
            board.take(&delivery);
            board.news |= is_behind;
        }
        budget.sleep(PAUSE.saturating_sub(begun.elapsed()));
    }
}
