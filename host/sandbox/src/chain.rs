//! Policies in a chain before the default plugin.
//!
//! Each link's `hooks` import is the next link's export. Every call of a link gets a store of its own, so that limits and faults belong to
//! one link: a failure of an inner link is kept in the outer link's store, and returned instead of the outer one's.

use crate::{
    answer::{self, Answered},
    call::CallFailure,
    chain_digest::ChainDigest,
    error::HookError,
    foreign::listed,
    link::{Link, Next},
    plugin::Plugin,
    policy::OnFailure,
    question::{Asking, OwnedQuestion, Question},
    types::{Notification, Report, Verdict, Violation},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Policies in one chain. Each may run for its whole time limit.
pub const MOST_POLICIES: usize = 4;
/// Bytes of native stack for each link beside its wasm stack: several times what the host's frames take.
const STACK_PER_LINK: usize = 256 << 10;
/// Bytes of native stack below all links.
const STACK_BELOW: usize = 1 << 20;

/// Policies and the plugin behind them, ready to be asked from any thread.
pub struct Chain {
    links: Arc<Links>,
}

/// The policies, outermost first, and the plugin that needs no other.
struct Links {
    policies: Vec<Link>,
    plugin: Plugin,
}

impl Chain {
    /// Puts policies before a plugin, the first one outermost.
    ///
    /// # Errors
    /// The number of policies, if there are more than [`MOST_POLICIES`].
    pub fn new(policies: Vec<Link>, plugin: Plugin) -> Result<Self, usize> {
        if policies.len() > MOST_POLICIES {
            return Err(policies.len());
        }
        Ok(Self {
            links: Arc::new(Links { policies, plugin }),
        })
    }

    /// Folds notifications of one run by DX's rule, without the policies (`merging.merge` of the plugin).
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn merge(&self, history: &[Notification]) -> Result<Report, HookError> {
        self.links.plugin.merge(history)
    }

    /// The digest of its policies, equal to [`ChainDigest::of`] before they were loaded.
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

    fn judge(&self, question: &Question<'_>, seen: bool) -> Result<Answered, HookError> {
        let limits = &self.links.plugin.core().limits;
        let asking = Arc::new(Asking::new(limits.chain, seen));
        if self.links.policies.is_empty() {
            return self.links.judge_from(0, question, &asking);
        }
        // wasmtime limits the stack of each store by itself: nested links add up, and the caller's thread may be too small for them.
        let stack = (self.links.policies.len() + 1) * (limits.stack + STACK_PER_LINK) + STACK_BELOW;
        if self.links.policies.iter().any(may_wait) {
            return self.links.judge_detached(question, &asking, stack);
        }
        thread::scope(|scope| {
            let asked = thread::Builder::new()
                .name("pipefold-chain".into())
                .stack_size(stack)
                .spawn_scoped(scope, || self.links.judge_from(0, question, &asking));
            match asked.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(self
                    .links
                    .failed(question.hook(), "the thread of the chain ended early".into())),
                Err(error) => Err(self.links.failed(question.hook(), error.to_string())),
            }
        })
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

    /// Judges on a thread that can be left behind, and waits no longer than the chain's time. Policies may open files, and the system may
    /// block an open without end (a named pipe waits for its other end), which nothing in this process can stop.
    fn judge_detached(
        self: &Arc<Self>,
        question: &Question<'_>,
        asking: &Arc<Asking>,
        stack: usize,
    ) -> Result<Answered, HookError> {
        let Some(permit) = ThreadPermit::take() else {
            return Err(self.failed(
                question.hook(),
                format!("{MOST_THREADS} questions wait for files that do not open"),
            ));
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let (owned, its_links, its_asking) = (OwnedQuestion::of(question), Arc::clone(self), Arc::clone(asking));
        let work = move || {
            let _permit = permit;
            // The caller may have stopped waiting.
            let _ = sender.send(its_links.judge_from(0, &owned.question(), &its_asking));
        };
        thread::Builder::new()
            .name("pipefold-chain".into())
            .stack_size(stack)
            .spawn(work)
            .map_err(|error| self.failed(question.hook(), error.to_string()))?;
        loop {
            // The deadline moves while the rules run.
            let left = (asking.until() + GRACE).saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(answer) => return answer,
                Err(mpsc::RecvTimeoutError::Timeout) if asking.until() + GRACE > Instant::now() => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(self.stuck(question.hook())),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.failed(question.hook(), "the thread of the chain ended early".into()));
                }
            }
        }
    }

    /// Judges by the link at `place`, which may call the ones behind it.
    fn judge_from(
        self: &Arc<Self>,
        place: usize,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, HookError> {
        let Some(policy) = self.policies.get(place) else {
            return Ok(Answered {
                verdict: self.plugin.judge(question, asking)?,
                seen: asking.seen.then(|| question.notifications().to_vec()),
            });
        };
        let behind = Arc::clone(self);
        let next = Next::new(move |question, asking| behind.judge_from(place + 1, question, asking));
        let answered = match policy.call_hook(self.plugin.core(), question, Some(next), asking) {
            Ok((verdict, inner)) => self.accept(policy, question, verdict, inner, asking),
            Err(CallFailure::Own(HookError::Refused(violations))) => {
                Err(self.refuse(policy, question, &violations, asking))
            }
            Err(failed) => Err(failed),
        };
        match answered {
            Ok(answered) => Ok(answered),
            Err(CallFailure::Own(error)) if policy.on_failure == OnFailure::Open && error.is_the_plugins() => {
                self.judge_from(place + 1, question, asking)
            }
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Checks a policy's report by the rules, unless it equals a report that the policy got: only the rules know what DX accepts.
    fn accept(
        &self,
        policy: &Link,
        question: &Question<'_>,
        verdict: Verdict,
        inner: Vec<Answered>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, CallFailure> {
        let verdict = match verdict {
            Verdict::Report(report) if !inner.iter().any(|answered| is_report(&answered.verdict, &report)) => {
                match self.plugin.fold(&report.into_notifications(), asking) {
                    Ok(report) => Verdict::Report(report),
                    Err(HookError::Refused(violations)) => {
                        let reason = format!("the rules refuse its report: {}", listed(&violations));
                        return Err(CallFailure::Own(policy.bad_answer(question.hook(), reason)));
                    }
                    Err(error) => return Err(CallFailure::Further(error)),
                }
            }
            verdict => verdict,
        };
        let seen = asking.seen.then(|| answer::seen_behind(&verdict, inner)).flatten();
        Ok(Answered { verdict, seen })
    }

    /// Finds the fault in a policy's refusal: the question's, if the rules refuse it as the policy got it, else the policy's.
    fn refuse(
        &self,
        policy: &Link,
        question: &Question<'_>,
        violations: &[Violation],
        asking: &Arc<Asking>,
    ) -> CallFailure {
        match self.plugin.judge(question, asking) {
            Ok(_) => {
                let reason = format!("it refuses what the rules accept: {}", listed(violations));
                CallFailure::Own(policy.bad_answer(question.hook(), reason))
            }
            Err(error) => CallFailure::Further(error),
        }
    }
}

fn is_report(verdict: &Verdict, report: &Report) -> bool {
    matches!(verdict, Verdict::Report(other) if other == report)
}

/// Time beyond the chain's own: by then the watchdog has stopped all WebAssembly, and only blocked system calls are left.
const GRACE: Duration = Duration::from_millis(100);
/// Detached threads of all chains of this process: a long-lived host must not collect blocked ones without end.
const MOST_THREADS: usize = 64;
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The right to one of the detached threads, released when dropped.
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
