//! Policies in a chain before the default plugin.
//!
//! Each link's `hooks` import is the next link's export. Every call of a link gets a store of its own, so that limits and faults belong to
//! one link: a failure of an inner link is kept in the outer link's store, and returned instead of the outer one's.

use crate::{
    answer::Answered,
    call::CallFailure,
    chain_digest::ChainDigest,
    chain_threads,
    error::HookError,
    fit::Role,
    link::{Link, Next},
    monitor::{Monitor, Monitored},
    plugin::Plugin,
    policy::{Mode, OnFailure},
    question::{Asking, OwnedQuestion, Question},
    tally::Outcome,
    trace::{Explained, Judged, Recorder, Visit},
    types::{Notification, Report, Verdict},
    verify,
};
use std::{
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// Policies in one chain, and monitored ones beside it. Each may run for its whole time limit.
pub const MOST_POLICIES: usize = 4;
/// Bytes of native stack for each link beside its wasm stack: several times what the host's frames take.
const STACK_PER_LINK: usize = 256 << 10;
/// Bytes of native stack below all links.
const STACK_BELOW: usize = 1 << 20;

/// Policies and the plugin behind them, ready to be asked from any thread.
pub struct Chain {
    links: Arc<Links>,
    monitors: RwLock<Vec<Monitor>>,
}

/// The enforced policies, outermost first, and the plugin that needs no other.
struct Links {
    policies: Vec<Link>,
    plugin: Arc<Plugin>,
}

impl Chain {
    /// Puts policies before a plugin, the first one outermost. Monitored ones are asked beside it.
    ///
    /// # Errors
    /// The number of policies, if more than [`MOST_POLICIES`] are enforced or monitored.
    pub fn new(policies: Vec<Link>, plugin: Plugin) -> Result<Self, usize> {
        let (mut enforced, mut monitored) = (Vec::new(), Vec::new());
        for policy in policies {
            match policy.mode {
                Mode::Enforce => enforced.push(policy),
                Mode::Monitor => monitored.push((policy, enforced.len())),
            }
        }
        if enforced.len() > MOST_POLICIES {
            return Err(enforced.len());
        }
        let links = Links {
            policies: enforced,
            plugin: Arc::new(plugin),
        };
        let chain = Self {
            links: Arc::new(links),
            monitors: RwLock::default(),
        };
        for (policy, place) in monitored {
            let name = policy.name().to_owned();
            chain.monitor(&name, place, || Ok(policy))?;
        }
        Ok(chain)
    }

    /// Asks a policy beside the chain from now on, with `place` enforced policies in front of it, whatever its mode. It is loaded by a thread of
    /// its own when the first question comes, and questions wait for that.
    ///
    /// # Errors
    /// The number of monitored policies, if they are more than [`MOST_POLICIES`].
    pub fn monitor(
        &self,
        name: &str,
        place: usize,
        load: impl FnOnce() -> Result<Link, String> + Send + 'static,
    ) -> Result<Monitored, usize> {
        let mut monitors = self.monitors.write().unwrap_or_else(PoisonError::into_inner);
        if monitors.len() == MOST_POLICIES {
            return Err(monitors.len() + 1);
        }
        let (plugin, stack) = (Arc::clone(&self.links.plugin), self.links.stack(1));
        let monitor = Monitor::new(name, place, Box::new(load), plugin, stack);
        let monitored = monitor.monitored.clone();
        monitors.push(monitor);
        Ok(monitored)
    }

    /// The monitored policies.
    #[must_use]
    pub fn monitored(&self) -> Vec<Monitored> {
        self.monitors()
            .iter()
            .map(|monitor| monitor.monitored.clone())
            .collect()
    }

    /// Waits until the monitored policies have been asked every question. Returns false if one was not by this moment.
    pub fn settle(&self, until: Instant) -> bool {
        self.monitors().iter().all(|monitor| monitor.settle(until))
    }

    fn monitors(&self) -> RwLockReadGuard<'_, Vec<Monitor>> {
        self.monitors.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds notifications of one run by DX's rule, without the policies (`merging.merge` of the plugin).
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn merge(&self, history: &[Notification]) -> Result<Report, HookError> {
        self.links.plugin.merge(history)
    }

    /// Judges a question by the plugin alone, without any policy.
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn ask_plugin(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        self.links.plugin.judge(question, &self.asking(false, false))
    }

    /// The digest of its enforced policies, equal to [`ChainDigest::of`] before they were loaded.
    #[must_use]
    pub fn digest(&self) -> ChainDigest {
        ChainDigest::join(self.links.policies.iter().map(|policy| policy.digest))
    }

    /// Judges a question by the policies and the plugin.
    ///
    /// # Errors
    /// [`HookError::Refused`] with the violations, if the rules refuse the question itself; any other error means that there is no
    /// verdict, and names the link at fault. A policy is at fault if it refuses a question that the rules accept, makes the rules refuse
    /// it, or reports a run that they refuse.
    pub fn ask(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        self.judge(question, false).map(|answered| answered.verdict)
    }

    /// As [`Chain::ask`], with the notifications that the rules got.
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn ask_and_see(&self, question: &Question<'_>) -> Result<Answered, HookError> {
        self.judge(question, true)
    }

    /// Judges a question as [`Chain::ask`] does, and records each call. Waits for the monitored policies.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explained {
        let asking = self.asking(false, true);
        let answer = self.judge_by(question, &asking);
        let mut visits = asking.recorder.take_visits();
        let judged = asking.recorder.take_judged();
        for monitor in self.monitors().iter() {
            let Some(judged) = judged.get(&monitor.place) else {
                continue;
            };
            let name = monitor.monitored.name().to_owned();
            let visit = monitor.visit(Arc::clone(judged));
            visits.push(visit.unwrap_or_else(|| Visit::unanswered(name, judged)));
        }
        Explained {
            visits,
            answer: answer.map(|answered| answered.verdict),
        }
    }

    /// Has the monitored policies judge a question that the caller does not ask. Only for a chain without enforced policies, as these might
    /// change it first: with some of them it does nothing.
    pub fn observe(&self, question: &Question<'_>) {
        let monitors = self.monitors();
        if monitors.is_empty() || !self.links.policies.is_empty() {
            return;
        }
        let judged = Arc::new(Judged {
            question: OwnedQuestion::of(question),
            answer: None,
        });
        for monitor in monitors.iter() {
            monitor.ask(Arc::clone(&judged));
        }
    }

    fn asking(&self, seen: bool, traced: bool) -> Arc<Asking> {
        let limits = &self.links.plugin.core().limits;
        let recorder = Recorder::new(traced, !self.monitors().is_empty());
        Arc::new(Asking::recorded(limits.chain, seen, recorder))
    }

    fn judge(&self, question: &Question<'_>, seen: bool) -> Result<Answered, HookError> {
        let asking = self.asking(seen, false);
        let answer = self.judge_by(question, &asking);
        // What has no verdict is judged again later.
        if matches!(answer, Ok(_) | Err(HookError::Refused(_))) {
            let judged = asking.recorder.take_judged();
            if !judged.is_empty() {
                for monitor in self.monitors().iter() {
                    if let Some(judged) = judged.get(&monitor.place) {
                        monitor.ask(Arc::clone(judged));
                    }
                }
            }
        }
        answer
    }

    fn judge_by(&self, question: &Question<'_>, asking: &Arc<Asking>) -> Result<Answered, HookError> {
        if self.links.policies.is_empty() {
            return self.links.judge_from(0, question, asking);
        }
        self.links.judge_with_stack(question, asking)
    }
}

/// Returns true if a policy may have to wait for the system, which no limit here can end.
fn may_wait(policy: &Link) -> bool {
    policy
        .callee
        .grants
        .wasi
        .as_ref()
        .is_some_and(|wasi| wasi.directory.is_some())
}

impl Links {
    /// Bytes of native stack for policies and the plugin behind them: wasmtime limits the stack of each store by itself, nested links add
    /// up, and the caller's thread may be too small for them.
    fn stack(&self, policies: usize) -> usize {
        (policies + 1) * (self.plugin.core().limits.stack + STACK_PER_LINK) + STACK_BELOW
    }

    /// The error of a chain that could not run.
    fn failed(&self, hook: &'static str, reason: String) -> HookError {
        let plugin = "the chain of policies".into();
        HookError::Host { plugin, hook, reason }
    }

    /// The error of a policy whose system call did not return in time.
    fn stuck(&self, hook: &'static str) -> HookError {
        HookError::ChainTimedOut {
            plugin: self
                .policies
                .iter()
                .find(|policy| may_wait(policy))
                .map_or_else(|| "the chain of policies".into(), Link::title),
            hook,
            limit: self.plugin.core().limits.chain,
        }
    }

    /// Judges on a thread with enough stack. Policies may open files, and the system may block an open without end (a named pipe waits for
    /// its other end), which nothing in this process can stop: the thread is then left behind when the chain's time is over.
    fn judge_with_stack(
        self: &Arc<Self>,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, HookError> {
        let may_wait = self.policies.iter().any(may_wait);
        let permit = may_wait.then(ThreadPermit::take);
        if let Some(None) = permit {
            return Err(self.failed(
                question.hook(),
                format!("{MOST_THREADS} questions wait for files that do not open"),
            ));
        }
        let (owned, its_links, its_asking) = (OwnedQuestion::of(question), Arc::clone(self), Arc::clone(asking));
        let answer = chain_threads::run(self.stack(self.policies.len()), move || {
            let _permit = permit;
            its_links.judge_from(0, &owned.question(), &its_asking)
        })
        .map_err(|error| self.failed(question.hook(), error.to_string()))?;
        let ended = || self.failed(question.hook(), "the thread of the chain ended early".into());
        if !may_wait {
            return answer.recv().map_err(|_| ended())?;
        }
        loop {
            // The deadline moves while the rules run.
            let left = (asking.until() + GRACE).saturating_duration_since(Instant::now());
            match answer.recv_timeout(left) {
                Ok(answer) => return answer,
                Err(mpsc::RecvTimeoutError::Timeout) if asking.until() + GRACE > Instant::now() => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(self.stuck(question.hook())),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(ended()),
            }
        }
    }

    /// Judges by the link at `place`, which may call the ones behind it, and records the answer there.
    fn judge_from(
        self: &Arc<Self>,
        place: usize,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, HookError> {
        let answer = self.judge_at(place, question, asking);
        asking.recorder.note(place, question, &answer);
        answer
    }

    fn judge_at(
        self: &Arc<Self>,
        place: usize,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, HookError> {
        let entry = asking.recorder.enter();
        let Some(policy) = self.policies.get(place) else {
            let (answer, ran) = self.plugin.judge_and_measure(question, asking);
            asking.recorder.leave(entry, || Visit {
                policy: self.plugin.name().into(),
                role: Role::Plugin,
                monitored: false,
                question: OwnedQuestion::of(question),
                passed: None,
                outcome: Some(match &answer {
                    Ok(_) => Outcome::Unchanged,
                    Err(HookError::Refused(_)) => Outcome::Refused,
                    Err(_) => Outcome::Failed,
                }),
                answer: answer.as_ref().map(Verdict::clone).map_err(HookError::to_string),
                changes: Vec::new(),
                time: ran.time,
                memory: ran.memory,
            });
            return Ok(Answered {
                verdict: answer?,
                seen: asking.seen.then(|| question.notifications().to_vec()),
            });
        };
        let behind = Arc::clone(self);
        let next = Next::new(move |question, asking| behind.judge_from(place + 1, question, asking));
        let asked = verify::ask(&self.plugin, policy, question, next, asking);
        asking.recorder.leave(entry, || asked.visit(policy, question));
        match asked.answered {
            Ok(answered) => Ok(answered),
            Err(CallFailure::Own(error)) if policy.on_failure == OnFailure::Open && error.is_the_plugins() => {
                self.judge_from(place + 1, question, asking)
            }
            Err(failed) => Err(failed.into_error()),
        }
    }
}

/// Time beyond the chain's own: by then the watchdog has stopped all WebAssembly, and only blocked system calls are left.
const GRACE: Duration = Duration::from_millis(100);
/// Threads of all chains of this process that may be left behind: a long-lived host must not collect blocked ones without end.
const MOST_THREADS: usize = 64;
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The right to one of these threads, released when dropped.
struct ThreadPermit;

impl ThreadPermit {
    fn take() -> Option<Self> {
        let take = |threads| (threads < MOST_THREADS).then_some(threads + 1);
        let taken = THREADS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        // Made only if taken, as dropping it gives it back.
        taken.ok().map(|_| Self)
    }
}

impl Drop for ThreadPermit {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}
