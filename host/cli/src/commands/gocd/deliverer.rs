//! Delivers beside the reading, so that a slow DX does not slow the reading down, nor the other way round.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pipefold::{Budget, Delivery, Flush};

use crate::commands::context::Context;

/// The least time between two deliveries: each looks at every run in the spool, so it is worth waiting for a few more.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that one delivery takes; a hanging DX is then tried again.
const ONE: Duration = Duration::from_secs(30);

/// What was delivered so far, and what is to be done.
#[derive(Default)]
struct Board {
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
pub(super) struct Delivered {
    /// Requests that DX accepted.
    pub(super) accepted: usize,
    /// Number of runs that DX or the rules refused for good.
    pub(super) rejected: usize,
    /// The first of them, and why.
    pub(super) refusals: Vec<String>,
    /// Runs that wait.
    pub(super) waiting: usize,
    /// The reason why the first of them does.
    pub(super) why: Option<String>,
    /// Things worth telling that stopped nothing.
    pub(super) warnings: Vec<String>,
}

/// A thread that delivers what was recorded.
pub(super) struct Deliverer {
    context: Arc<Context>,
    board: Arc<(Mutex<Board>, Condvar)>,
    budget: Budget,
    thread: Option<JoinHandle<()>>,
}

impl Deliverer {
    pub(super) fn begin(context: Arc<Context>) -> Self {
        let board: Arc<(Mutex<Board>, Condvar)> = Arc::default();
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

    /// Says that there is something to deliver, or that it is worth another try.
    pub(super) fn wake(&self) {
        lock(&self.board).news = true;
        self.board.1.notify_all();
    }

    /// Number of requests that DX accepted so far.
    pub(super) fn accepted(&self) -> usize {
        lock(&self.board).accepted
    }

    /// The reason why nothing can be delivered at all, if so.
    pub(super) fn impossible(&self) -> Option<String> {
        lock(&self.board).impossible.clone()
    }

    /// Ends the thread, delivers what is left for as long as DX takes a run within each `patience`, and sums up. With `hurry` once only.
    pub(super) fn end(mut self, patience: Duration, hurry: bool) -> Delivered {
        {
            lock(&self.board).over = true;
            self.board.1.notify_all();
        }
        self.budget.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let last = loop {
            // Also what pauses after a try that failed: DX may take it now.
            let delivery = self.context.reporter.flush(&Budget::new(patience), &Flush::default());
            lock(&self.board).take(&delivery);
            if hurry || delivery.accepted == 0 || delivery.kept_count + delivery.not_looked_at == 0 {
                break delivery;
            }
        };
        let mut board = lock(&self.board);
        let waiting = match (&last.impossible, last.busy) {
            (None, false) => last.kept_count + last.not_looked_at + last.others_wait,
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
                    .then(|| "another process is delivering, and may take them along".to_owned())
            };
            let of_time = || (waiting > 0).then(|| "there was no time left to send them".to_owned());
            let kept = last.kept.first().map(|kept| kept.why.clone());
            kept.or_else(|| last.put_off.clone())
                .or_else(of_another)
                .or_else(of_time)
        });
        Delivered {
            accepted: board.accepted,
            rejected: board.rejected_count,
            refusals: std::mem::take(&mut board.rejected),
            waiting,
            why: why.filter(|_| waiting > 0),
            warnings: std::mem::take(&mut board.warnings),
        }
    }
}

/// Refusals and warnings that are named; the counts are complete.
const MOST_NAMED: usize = 10;

impl Board {
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

fn lock(board: &(Mutex<Board>, Condvar)) -> MutexGuard<'_, Board> {
    board.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deliver_on(context: &Context, board: &(Mutex<Board>, Condvar), budget: &Budget) {
    loop {
        {
            let idle = |board: &mut Board| !board.news && !board.over;
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
        let is_behind = delivery.accepted > 0 && delivery.not_looked_at > 0;
        {
            let mut board = lock(board);
            board.take(&delivery);
            board.news |= is_behind;
        }
        budget.sleep(PAUSE.saturating_sub(begun.elapsed()));
    }
}
