//! Policies in a line before the default plugin.
//!
//! Each link's `hooks` import is the next link's export. Every call of a link gets a store of its own, so that its limits are its own and
//! what it does wrong is its own fault: a failure further in is parked in the outer link's store and told instead of the outer one's.

use crate::{
    call::{Failed, Next, State},
    detached,
    error::{HookError, Limit},
    plugin::{HOOKS, Link, Plugin},
    question::Question,
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

    /// Asks the chain.
    ///
    /// # Errors
    /// [`HookError::Refused`] with the violations; anything else means that there is no judgement, and names the link at fault.
    pub fn ask(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        let whole = Instant::now() + self.line.plugin.core().limits.chain;
        if self.line.policies.is_empty() {
            return Line::ask(&self.line, 0, question, whole);
        }
        // wasmtime limits the stack of each store by itself: nested links add up, and the caller's thread may be too small for them.
        let stack =
            (self.line.policies.len() + 1) * (self.line.plugin.core().limits.stack + STACK_PER_LINK) + STACK_BELOW;
        if self.line.policies.iter().any(may_wait) {
            return detached::ask(&self.line, question, whole, stack);
        }
        thread::scope(|scope| {
            let asked = thread::Builder::new()
                .name("pipefold-chain".into())
                .stack_size(stack)
                .spawn_scoped(scope, || Line::ask(&self.line, 0, question, whole));
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
        let plugin = "chain".into();
        HookError::Host { plugin, hook, reason }
    }

    /// A policy did not come back from the system in time.
    pub(crate) fn waited_in_vain(&self, hook: &'static str) -> HookError {
        HookError::ChainTimedOut {
            plugin: self
                .policies
                .iter()
                .find(|policy| may_wait(policy))
                .map_or("chain", Link::name)
                .into(),
            hook,
            limit: self.plugin.core().limits.chain,
        }
    }

    /// Asks the link at `place`, which may ask the ones behind it.
    pub(crate) fn ask(
        line: &Arc<Self>,
        place: usize,
        question: &Question<'_>,
        whole: Instant,
    ) -> Result<Verdict, HookError> {
        let policy = line.policies.get(place);
        let link = policy.unwrap_or_else(|| line.plugin.link());
        let next = policy.map(|_| Next::new(Arc::clone(line), place + 1));
        match link.ask(line.plugin.core(), question, next, whole) {
            Ok(verdict) => Ok(verdict),
            Err(Failed::Own(error))
                if policy.is_some() && link.on_failure == OnFailure::Open && error.is_the_plugins() =>
            {
                Self::ask(line, place + 1, question, whole)
            }
            Err(Failed::Own(error) | Failed::Further(error)) => Err(error),
        }
    }
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
    let whole = state.whole;
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
    let answer = Line::ask(&line, place, question, whole);
    // The time of the next link is not this one's.
    state.deadline += began.elapsed();
    match answer {
        Ok(verdict) => Ok((Ok(verdict),)),
        Err(HookError::Refused(violations)) => Ok((Err(violations),)),
        Err(error) => {
            state.further = Some(error);
            wasmtime::bail!("the next plugin failed")
        }
    }
}
