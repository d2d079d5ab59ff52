//! Policies in a line before the default plugin.
//!
//! Each link's `hooks` import is the next link's export. Every call of a link gets a store of its own, so that its limits are its own and
//! what it does wrong is its own fault: a failure further in is parked in the outer link's store and told instead of the outer one's.

use crate::{
    asking::Asking,
    call::{Failed, Next, State},
    detached,
    digest::ChainDigest,
    error::{HookError, Limit},
    foreign::listed,
    plugin::{HOOKS, Link, Plugin},
    question::Question,
    seen::{self, Answered},
    types::{Notification, Run, Verdict, Violation},
};

use std::{sync::Arc, thread, time::Instant};
use wasmtime::{StoreContextMut, component::Linker};

/// Policies in one chain. Each may run for its whole time limit.
pub const MOST_POLICIES: usize = 4;
/// Calls of the next link that one call of a policy may make: with four policies that is at most 4^4 calls of the default plugin.
pub(crate) const MOST_CALLS: u32 = 4;

/// Native stack for each link beside its wasm stack: the host's frames in between, several times over.
const STACK_PER_LINK: usize = 256 << 10;
/// Native stack below all links.
const STACK_BELOW: usize = 1 << 20;

/// What becomes of a notification when a policy fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing is judged, so nothing is sent: a redaction that fails must not become a leak.
    #[default]
    Closed,
    /// The failing policy alone is passed over; the others still apply.
    Open,
}

/// Policies and the plugin behind them, ready to be asked from any thread.
pub struct Chain {
    line: Arc<Line>,
}

/// The links, outermost first, and the plugin that needs no other.
pub(crate) struct Line {
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
            line: Arc::new(Line { policies, plugin }),
        })
    }

    /// Folds notifications of one run by DX's rule, which no policy has a say in (`merging.merge` of the plugin).
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn merge(&self, history: &[Notification]) -> Result<Run, HookError> {
        self.line.plugin.merge(history)
    }

    /// The digest of its policies, which is that of [`ChainDigest::of`] before they were loaded.
    #[must_use]
    pub fn digest(&self) -> ChainDigest {
        ChainDigest::join(self.line.policies.iter().map(|policy| policy.digest))
    }

    /// Asks the chain.
    ///
    /// # Errors
    /// [`HookError::Refused`] with the violations, if the rules refuse this very question; anything else means that there is no
    /// judgement, and names the link at fault. A policy that refuses what the rules accept, makes them refuse it or reports what they
    /// refuse is at fault.
    pub fn ask(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        self.answer(question, false).map(|answered| answered.verdict)
    }

    /// The same, and tells what the rules saw.
    ///
    /// # Errors
    /// As [`Chain::ask`].
    pub fn ask_and_see(&self, question: &Question<'_>) -> Result<Answered, HookError> {
        self.answer(question, true)
    }

    fn answer(&self, question: &Question<'_>, seen: bool) -> Result<Answered, HookError> {
        let limits = &self.line.plugin.core().limits;
        let asking = Arc::new(Asking::new(limits.chain, seen));
        if self.line.policies.is_empty() {
            return Line::ask(&self.line, 0, question, &asking);
        }
        // wasmtime limits the stack of each store by itself: nested links add up, and the caller's thread may be too small for them.
        let stack = (self.line.policies.len() + 1) * (limits.stack + STACK_PER_LINK) + STACK_BELOW;
        if self.line.policies.iter().any(may_wait) {
            return detached::ask(&self.line, question, &asking, stack);
        }
        thread::scope(|scope| {
            let asked = thread::Builder::new()
                .name("pipefold-chain".into())
                .stack_size(stack)
                .spawn_scoped(scope, || Line::ask(&self.line, 0, question, &asking));
            match asked.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(self
                    .line
                    .failed(question.hook(), "the thread of the chain ended early".into())),
                Err(error) => Err(self.line.failed(question.hook(), error.to_string())),
            }
        })
    }
}

/// Whether a policy may have to wait for the system, which no limit here can end.
fn may_wait(policy: &Link) -> bool {
    policy.grants.wasi.as_ref().is_some_and(|wasi| wasi.directory.is_some())
}

impl Line {
    /// The chain itself could not run.
    pub(crate) fn failed(&self, hook: &'static str, reason: String) -> HookError {
        let plugin = "the chain of policies".into();
        HookError::Host { plugin, hook, reason }
    }

    /// A policy did not come back from the system in time.
    pub(crate) fn waited_in_vain(&self, hook: &'static str) -> HookError {
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

    /// Asks the link at `place`, which may ask the ones behind it.
    pub(crate) fn ask(
        line: &Arc<Self>,
        place: usize,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, HookError> {
        let Some(policy) = line.policies.get(place) else {
            return Ok(Answered {
                verdict: line.plugin.ask_within(question, asking)?,
                seen: asking.seen.then(|| question.notifications().to_vec()),
            });
        };
        let next = Next::new(Arc::clone(line), place + 1);
        let answered = match policy.ask(line.plugin.core(), question, Some(next), asking) {
            Ok((verdict, inner)) => line.accept(policy, question, verdict, inner, asking),
            Err(Failed::Own(HookError::Refused(violations))) => Err(line.refuse(policy, question, &violations, asking)),
            Err(failed) => Err(failed),
        };
        match answered {
            Ok(answered) => Ok(answered),
            Err(Failed::Own(error)) if policy.on_failure == OnFailure::Open && error.is_the_plugins() => {
                Self::ask(line, place + 1, question, asking)
            }
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Has the rules check what a policy reports, unless it is what it was told: they are the only ones that know what DX takes.
    fn accept(
        &self,
        policy: &Link,
        question: &Question<'_>,
        verdict: Verdict,
        inner: Vec<Answered>,
        asking: &Arc<Asking>,
    ) -> Result<Answered, Failed> {
        let verdict = match verdict {
            Verdict::Report(run) if !inner.iter().any(|answered| is_report(&answered.verdict, &run)) => {
                match self.plugin.merge_within(&[run.into()], asking) {
                    Ok(run) => Verdict::Report(run),
                    Err(HookError::Refused(violations)) => {
                        let reason = format!("the rules refuse its report: {}", listed(&violations));
                        return Err(Failed::Own(policy.bad_answer(question.hook(), reason)));
                    }
                    Err(error) => return Err(Failed::Further(error)),
                }
            }
            verdict => verdict,
        };
        let seen = asking.seen.then(|| seen::behind(&verdict, inner)).flatten();
        Ok(Answered { verdict, seen })
    }

    /// Tells whose fault a refusal behind a policy is: the question's, if the rules refuse it as the policy got it, else the policy's.
    fn refuse(&self, policy: &Link, question: &Question<'_>, violations: &[Violation], asking: &Arc<Asking>) -> Failed {
        match self.plugin.ask_within(question, asking) {
            Ok(_) => {
                let reason = format!("it refuses what the rules accept: {}", listed(violations));
                Failed::Own(policy.bad_answer(question.hook(), reason))
            }
            Err(error) => Failed::Further(error),
        }
    }
}

fn is_report(verdict: &Verdict, run: &Run) -> bool {
    matches!(verdict, Verdict::Report(told) if told == run)
}

/// Defines the next link's hooks as a policy's import.
pub(crate) fn link_next(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut hooks = linker.instance(HOOKS)?;
    hooks.func_wrap("pipeline-start", |store, (event,): (Notification,)| {
        next(store, &Question::PipelineStart(&event))
    })?;
    hooks.func_wrap("step", |store, (event,): (Notification,)| {
        next(store, &Question::Step(&event))
    })?;
    hooks.func_wrap("pipeline-finish", |store, (history,): (Vec<Notification>,)| {
        next(store, &Question::PipelineFinish(&history))
    })?;
    Ok(())
}

/// What the contract's hooks answer.
type Answer = (Result<Verdict, Vec<Violation>>,);

fn next(mut store: StoreContextMut<'_, State>, question: &Question<'_>) -> wasmtime::Result<Answer> {
    let state = store.data_mut();
    let asking = Arc::clone(&state.asking);
    let Some(next) = &mut state.next else {
        wasmtime::bail!("there is no next plugin")
    };
    if next.calls == MOST_CALLS {
        state.hit.get_or_insert(Limit::NextCalls(MOST_CALLS));
        wasmtime::bail!("too many calls of the next plugin");
    }
    next.calls += 1;
    let (line, place) = (Arc::clone(&next.line), next.place);
    let began = Instant::now();
    let answer = Line::ask(&line, place, question, &asking);
    // The time of the next link is not this one's.
    state.deadline += began.elapsed();
    match answer {
        Ok(answered) => {
            let verdict = answered.verdict.clone();
            if let Some(next) = &mut state.next {
                next.answers.push(answered);
            }
            Ok((Ok(verdict),))
        }
        Err(HookError::Refused(violations)) => Ok((Err(violations),)),
        Err(error) => {
            state.further = Some(error);
            wasmtime::bail!("the next plugin failed")
        }
    }
}
