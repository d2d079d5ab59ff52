//! Policies that are monitored: asked beside a chain, after its answer.
//!
//! The answer of the chain never waits for one and does not depend on it: each has a thread of its own, which also loads it, and a bounded
//! queue, and a question that finds the queue full is skipped. Behind such a policy stands the answer that the chain gave, or the rules alone for a question that
//! the policy has changed: the policies behind it in the chain are not asked a second time, as they may write to a directory or to the log.

use crate::{
    answer::Answered,
    call::CallFailure,
    error::HookError,
    link::{Link, Next},
    plugin::Plugin,
    policy::Mode,
    question::Asking,
    tally::{Counts, Outcome, Tally},
    trace::{Judged, Visit},
    verify,
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Questions that wait for one monitored policy, and the notifications in them. A collector takes some hundred upserts a second; one history
/// may have ten thousand notifications, some megabytes.
const MOST_WAITING: usize = 256;
const MOST_NOTIFICATIONS: usize = 20_000;
/// Observations that are kept of one policy: a page of them.
const MOST_OBSERVATIONS: usize = 100;
/// Characters of a run's name in an observation.
const MOST_NAME: usize = 200;

/// What a monitored policy would have done to a question, if it is not nothing. It has no values of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The time of the observation.
    pub at: SystemTime,
    /// The hook's name in the contract.
    pub hook: &'static str,
    /// The run, at most 200 characters of it.
    pub reference_id: String,
    /// [`Outcome::Changed`], [`Outcome::Held`], [`Outcome::Discarded`] or [`Outcome::Failed`].
    pub outcome: Outcome,
    /// The names of the fields that it would change, as in [`Visit::changes`].
    pub fields: Vec<String>,
    /// The kind of its failure, such as `step crashed`.
    pub failure: Option<String>,
}

/// A monitored policy, also after it is put into a chain. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Monitored(Arc<Shared>);

/// Loads a monitored policy, on its own thread. The error says why it is not asked.
pub type LoadLink = Box<dyn FnOnce() -> Result<Link, String> + Send>;

struct Shared {
    name: String,
    tally: Arc<Tally>,
    /// Taken by its thread.
    load: Mutex<Option<LoadLink>>,
    /// The loaded policy, or why it is not asked.
    link: OnceLock<Result<Link, String>>,
    plugin: Arc<Plugin>,
    /// Bytes of native stack of its thread.
    stack: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
    observations: Mutex<VecDeque<Observation>>,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// The notifications in `tasks`.
    notifications: usize,
    /// True while its thread runs.
    started: bool,
    /// True while a question is judged.
    busy: bool,
    /// True if no question is taken any more: it could not be loaded, or its chain is gone.
    closed: bool,
}

struct Task {
    judged: Arc<Judged>,
    /// The receiver of the visit, if the caller wants it.
    reply: Option<mpsc::SyncSender<Visit>>,
}

/// A monitored policy in a chain. Its thread ends when this is dropped.
pub struct Monitor {
    pub monitored: Monitored,
    /// The number of enforced policies in front of it.
    pub place: usize,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.monitored.0.lock().closed = true;
        self.monitored.0.changed.notify_all();
    }
}

impl Monitor {
    pub fn new(name: &str, place: usize, load: LoadLink, plugin: Arc<Plugin>, stack: usize) -> Self {
        Self {
            monitored: Monitored(Arc::new(Shared {
                name: name.to_owned(),
                tally: Arc::default(),
                load: Mutex::new(Some(load)),
                link: OnceLock::new(),
                plugin,
                stack,
                queue: Mutex::default(),
                changed: Condvar::new(),
                observations: Mutex::default(),
            })),
            place,
        }
    }

    /// Asks it later about a question.
    pub fn ask(&self, judged: Arc<Judged>) {
        self.monitored.0.push(Task { judged, reply: None });
    }

    /// Asks it, and waits for its answer; `None` if there is none in time.
    pub fn visit(&self, judged: Arc<Judged>) -> Option<Visit> {
        let shared = &self.monitored.0;
        let (reply, replied) = mpsc::sync_channel(1);
        shared.push(Task {
            judged,
            reply: Some(reply),
        });
        let time = shared.ready().map_or(Duration::ZERO, |link| link.callee.limits.hook);
        replied.recv_timeout(time + GRACE).ok()
    }

    /// Waits until no question waits for it. Returns false if one still does at this moment.
    pub fn settle(&self, until: Instant) -> bool {
        self.monitored
            .0
            .wait(until, |queue| !queue.busy && queue.tasks.is_empty())
    }
}

/// Time beyond a call's own: of the rules, and of starting the thread.
const GRACE: Duration = Duration::from_secs(2);

impl Monitored {
    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Loads it now, and not when the first question comes, and waits for that. Returns false if it is still loading at this moment.
    pub fn load(&self, until: Instant) -> bool {
        self.0.start(&mut self.0.lock());
        self.0.wait(until, |_| self.0.link.get().is_some())
    }

    /// Returns true if it is loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.0.ready().is_some()
    }

    /// The reason why it could not be loaded, and so is not asked.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.0.link.get()?.as_ref().err().map(String::as_str)
    }

    /// Its counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.tally.counts()
    }

    /// Its latest observations, oldest first.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        self.0.observations().iter().cloned().collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Valid at every moment: a panic elsewhere does not damage it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observations(&self) -> MutexGuard<'_, VecDeque<Observation>> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> Option<&Link> {
        self.link.get()?.as_ref().ok()
    }

    /// Waits until its queue is as `done` says. Returns false if it is not at this moment.
    fn wait(&self, until: Instant, done: impl Fn(&Queue) -> bool) -> bool {
        let mut queue = self.lock();
        while !done(&queue) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn push(self: &Arc<Self>, task: Task) {
        let size = task.judged.question.notifications().len();
        let mut queue = self.lock();
        let has_room = queue.tasks.len() < MOST_WAITING
            && (queue.tasks.is_empty() || queue.notifications + size <= MOST_NOTIFICATIONS);
        if queue.closed || !has_room || !self.start(&mut queue) {
            self.tally.skip();
            return;
        }
        queue.notifications += size;
        queue.tasks.push_back(task);
        self.changed.notify_all();
    }

    /// Starts its thread, if it does not run yet. Returns false if the system has no thread to spare.
    fn start(self: &Arc<Self>, queue: &mut Queue) -> bool {
        if queue.started {
            return true;
        }
        let shared = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("pipefold-monitor".into())
            .stack_size(self.stack)
            .spawn(move || shared.work());
        queue.started = thread.is_ok();
        queue.started
    }

    fn work(&self) {
        let loaded = self.loaded();
        let mut queue = self.lock();
        let Some(link) = loaded else {
            queue.closed = true;
            queue.tasks.drain(..).for_each(|_| self.tally.skip());
            self.changed.notify_all();
            return;
        };
        self.changed.notify_all();
        while !queue.closed {
            let Some(Task { judged, reply }) = queue.tasks.pop_front() else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.notifications -= judged.question.notifications().len();
            queue.busy = true;
            drop(queue);
            // A panic would leave the questions behind it waiting without an end.
            let _ = catch_unwind(AssertUnwindSafe(|| self.observe(link, &judged, reply.as_ref())));
            queue = self.lock();
            queue.busy = false;
            self.changed.notify_all();
        }
    }

    /// Loads it.
    fn loaded(&self) -> Option<&Link> {
        let load = self.load.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(load) = load {
            let loaded = catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err("loading it failed".into()));
            let linked = loaded.map(|mut link| {
                (link.mode, link.tally) = (Mode::Monitor, Arc::clone(&self.tally));
                link
            });
            let _ = self.link.set(linked);
        }
        self.ready()
    }

    fn observe(&self, link: &Link, judged: &Arc<Judged>, reply: Option<&mpsc::SyncSender<Visit>>) {
        let question = judged.question.question();
        // It is in no chain: its own time is over first.
        let asking = Arc::new(Asking::new(link.callee.limits.hook.saturating_mul(2), false));
        let (known, plugin) = (Arc::clone(judged), Arc::clone(&self.plugin));
        let next = Next::new(move |passed, asking| {
            let verdict = match &known.answer {
                Some(answer) if known.question.question().is(passed) => answer.clone().map_err(HookError::Refused)?,
                _ => plugin.judge(passed, asking)?,
            };
            Ok(Answered { verdict, seen: None })
        });
        let asked = verify::ask(&self.plugin, link, &question, next, &asking);
        let failure = match &asked.answered {
            Err(CallFailure::Own(error)) => Some(error.kind()),
            _ => None,
        };
        if let Some(outcome) = asked.outcome.filter(|outcome| outcome.is_a_difference()) {
            let names = question.notifications().iter();
            let name = names.filter_map(|event| event.reference_id.as_deref()).next();
            let mut observations = self.observations();
            if observations.len() == MOST_OBSERVATIONS {
                observations.pop_front();
            }
            observations.push_back(Observation {
                at: SystemTime::now(),
                hook: question.hook(),
                reference_id: name.unwrap_or_default().chars().take(MOST_NAME).collect(),
                outcome,
                fields: asked.changes.names(),
                failure,
            });
        }
        if let Some(reply) = reply {
            // The caller may have stopped waiting.
            let _ = reply.try_send(asked.visit(link, &question));
        }
    }
}
