//! Rows on their way to DX: several at a time, at a bounded rate, those of one run in their order.

use super::judging::{Judged, judge};
use super::mapping::Mapped;
use crate::dx::Outcome;
use crate::kill_points;
use crate::pace::{Pauses, TokenBucket};
use crate::reporter::Reporter;
use backon::{BackoffBuilder, ExponentialBuilder};
use pipefold_sandbox::{Job, Run};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time for one request: DX answers within a second, and a proxy in front of it may wait.
const REQUEST: Duration = Duration::from_secs(20);
/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Runs in a row that DX refuses with a code that its page does not list, after which the import ends: an incident, and not the rows.
const MOST_REFUSED: u32 = 100;
/// The time after which a pause looks at the stop.
const SLICE: Duration = Duration::from_millis(50);

/// A row to be judged and sent.
pub struct Task {
    /// The row's number.
    pub number: u64,
    pub mapped: Mapped,
}

/// The outcome for a row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// DX has it; so many requests about runs and about jobs.
    Accepted { runs: u64, jobs: u64 },
    /// A policy dropped it.
    Dropped,
    /// Its job is not sent: the settings or the server leave it out.
    LeftOut,
    /// Refused for good.
    Refused(String),
    /// Not sent: the import stops.
    Unsent,
}

/// The parts that all threads share.
pub struct Line<'a> {
    reporter: &'a Reporter,
    /// True if nothing is sent.
    is_dry: bool,
    /// The time without an answer after which the import ends.
    patience: Duration,
    /// Raised by a signal.
    signal: &'a AtomicBool,
    /// The server has no method for jobs.
    lacks_jobs: AtomicBool,
    /// There is a reason in `pace` why nothing more is sent.
    is_over: AtomicBool,
    pace: Mutex<Pace>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Pace {
    bucket: TokenBucket,
    pauses: Pauses,
    /// The last answer of DX, or the beginning.
    answered: Instant,
    /// Runs that were refused since one was accepted.
    refused: u32,
    /// The reason why nothing more is sent.
    over: Option<String>,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Queued>,
    /// Keys of the rows that are being sent.
    busy: HashSet<u64>,
    /// Threads that wait for a row: others need no call of the system.
    idle: usize,
    is_closed: bool,
}

struct Queued {
    task: Task,
    /// The key of its run.
    run: u64,
    /// The key of its subject, which for a run is that of the run.
    own: u64,
}

impl<'a> Line<'a> {
    pub fn new(reporter: &'a Reporter, rate: f64, patience: Duration, is_dry: bool, signal: &'a AtomicBool) -> Self {
        let now = Instant::now();
        Self {
            reporter,
            is_dry,
            patience,
            signal,
            lacks_jobs: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            pace: Mutex::new(Pace {
                bucket: TokenBucket::new(rate, now),
                pauses: Pauses::default(),
                answered: now,
                refused: 0,
                over: None,
            }),
            queue: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds a row.
    pub fn add(&self, task: Task, keys: &RandomState) {
        let notification = &task.mapped.notification;
        let run = keys.hash_one(&notification.reference_id);
        let job = notification.step_id.as_ref().or(notification.step.as_ref());
        let own = job.map_or(run, |job| keys.hash_one((run, job)));
        let mut queue = lock(&self.queue);
        queue.tasks.push_back(Queued { task, run, own });
        if queue.idle > 0 {
            self.changed.notify_one();
        }
    }

    /// Ends the threads when the queue is empty.
    pub fn close(&self) {
        lock(&self.queue).is_closed = true;
        self.changed.notify_all();
    }

    /// The reason why nothing more is sent, if there is one.
    pub fn over(&self) -> Option<String> {
        lock(&self.pace).over.clone()
    }

    /// Returns true if the server has no method for jobs.
    pub fn lacks_jobs(&self) -> bool {
        self.lacks_jobs.load(SeqCst)
    }

    /// Returns true if nothing more is sent.
    pub fn is_stopped(&self) -> bool {
        self.signal.load(SeqCst) || self.is_over.load(SeqCst)
    }

    /// Takes rows and sends them, until the queue is closed and empty. `settle` notes the outcome of each before the next is taken.
    pub fn work(&self, settle: impl Fn(u64, RowOutcome)) {
        let _guard = StopOnPanic(self);
        while let Some(Queued { task, own, .. }) = self.next() {
            if !self.is_stopped() {
                settle(task.number, self.settle(&task.mapped));
            }
            // This thread takes what that sets free.
            lock(&self.queue).busy.remove(&own);
        }
    }

    /// The next row that may be sent: none of its run is under way, except other jobs. Waits for one.
    fn next(&self) -> Option<Queued> {
        let mut queue = lock(&self.queue);
        loop {
            let Queue {
                tasks,
                busy,
                idle,
                is_closed,
            } = &mut *queue;
            let mut before = HashSet::new();
            let place = tasks.iter().position(|queued| {
                let is_held = |key| busy.contains(key) || before.contains(key);
                let is_free = !is_held(&queued.run) && !is_held(&queued.own);
                before.insert(queued.own);
                is_free
            });
            if let Some(queued) = place.and_then(|place| tasks.remove(place)) {
                busy.insert(queued.own);
                match (tasks.is_empty(), *is_closed) {
                    (false, _) if *idle > 0 => self.changed.notify_one(),
                    (true, true) => self.changed.notify_all(),
                    _ => {}
                }
                return Some(queued);
            }
            if queue.is_closed && queue.tasks.is_empty() {
                return None;
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Judges a row and sends it.
    fn settle(&self, mapped: &Mapped) -> RowOutcome {
        let report = match judge(self.reporter, mapped) {
            Judged::Send(report) => report,
            Judged::Dropped => return RowOutcome::Dropped,
            Judged::Refused(why) => return RowOutcome::Refused(why),
        };
        let is_run = mapped.notification.step.is_none();
        let chosen = self.reporter.chosen_jobs(&report);
        if !is_run && report.jobs.is_empty() {
            return RowOutcome::Dropped;
        }
        if !is_run && (chosen.is_empty() || self.lacks_jobs()) {
            return RowOutcome::LeftOut;
        }
        let (mut runs, mut jobs) = (0, 0);
        let requests = is_run.then_some(None).into_iter().chain(chosen.into_iter().map(Some));
        for job in requests {
            if job.is_some() && self.lacks_jobs() {
                continue;
            }
            if !self.is_dry {
                match self.send(&report.run, job) {
                    Sent::Accepted => {}
                    Sent::NoMethod if is_run => continue,
                    Sent::NoMethod => return RowOutcome::LeftOut,
                    Sent::Refused(why) => return RowOutcome::Refused(why),
                    Sent::Stopped => return RowOutcome::Unsent,
                }
            }
            *(if job.is_some() { &mut jobs } else { &mut runs }) += 1;
        }
        RowOutcome::Accepted { runs, jobs }
    }

    /// Sends a run or a job until DX answers, or the import ends.
    fn send(&self, run: &Run, job: Option<&Job>) -> Sent {
        let begun = Instant::now();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            // The library's own seed is the same everywhere.
            .with_jitter_seed(RandomState::new().build_hasher().finish())
            .build();
        loop {
            if !self.turn() {
                return Sent::Stopped;
            }
            kill_points::pass("import.send");
            let outcome = self.reporter.send(run, job, REQUEST);
            kill_points::pass("import.answered");
            let words = outcome.to_string();
            match outcome {
                Outcome::Accepted => {
                    self.answered();
                    lock(&self.pace).refused = 0;
                    return Sent::Accepted;
                }
                Outcome::NoMethod { .. } => {
                    self.answered();
                    self.lacks_jobs.store(true, SeqCst);
                    return Sent::NoMethod;
                }
                // It is about the token, and not about the row.
                Outcome::Refused { status: 401, .. } => return self.end(words),
                // A job is refused where DX lacks its run.
                Outcome::Refused { .. } if job.is_none() && self.is_one_more_refused() => {
                    return self.end(format!("after {MOST_REFUSED} refused runs in a row: {words}"));
                }
                Outcome::Rejected { .. } | Outcome::Refused { .. } => {
                    self.answered();
                    return Sent::Refused(words);
                }
                Outcome::Unauthorised { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. } => {
                    return self.end(words);
                }
                Outcome::Retry { after, why } => {
                    let now = Instant::now();
                    let mut pace = lock(&self.pace);
                    pace.pauses.failed(after, FIRST_PAUSE, now);
                    // DX says itself when it will answer.
                    let patience = self.patience + after.unwrap_or_default();
                    let silent = now.saturating_duration_since(pace.answered);
                    drop(pace);
                    if silent > patience {
                        return self.end(why);
                    }
                    // Others are answered: it is this row that fails.
                    if begun.elapsed() > patience && silent < self.patience / 2 {
                        return Sent::Refused(why);
                    }
                    self.sleep(pauses.next().unwrap_or(LONGEST_PAUSE));
                }
            }
        }
    }

    /// Waits until a request may be sent. Returns false if none may any more.
    fn turn(&self) -> bool {
        let mut is_reserved = false;
        loop {
            if self.is_stopped() {
                return false;
            }
            let now = Instant::now();
            let wait = {
                let mut pace = lock(&self.pace);
                match pace.pauses.left(now) {
                    Some(left) => left,
                    None if is_reserved => return true,
                    None => {
                        is_reserved = true;
                        pace.bucket.reserve(now)
                    }
                }
            };
            self.sleep(wait);
        }
    }

    fn sleep(&self, length: Duration) {
        let begun = Instant::now();
        while !self.is_stopped() {
            let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
                return;
            };
            thread::sleep(left.min(SLICE));
        }
    }

    fn answered(&self) {
        let mut pace = lock(&self.pace);
        pace.pauses.reached();
        pace.answered = Instant::now();
    }

    /// Counts a refused run. Returns true if it is one too many.
    fn is_one_more_refused(&self) -> bool {
        let mut pace = lock(&self.pace);
        pace.refused = pace.refused.saturating_add(1);
        pace.refused > MOST_REFUSED
    }

    fn end(&self, why: String) -> Sent {
        self.stop(why);
        Sent::Stopped
    }

    /// Ends the sending, for this reason.
    pub fn stop(&self, why: String) {
        lock(&self.pace).over.get_or_insert(why);
        self.is_over.store(true, SeqCst);
    }
}

/// Ends the import if its thread panics: the row would be waited for.
struct StopOnPanic<'a>(&'a Line<'a>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop("internal error".to_owned());
        }
    }
}

/// The outcome of sending a run or a job.
enum Sent {
    Accepted,
    NoMethod,
    Refused(String),
    Stopped,
}

/// Locks it, also after a panic of another thread.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
