//! One component of a chain, and its calls of the next one.

use crate::{
    answer::{self, Answered},
    call::{Call, CallFailure, CallState, Callee, Ran},
    engine::Core,
    error::{HookError, LoadError},
    fit::Role,
    limits::Limit,
    policy::{Mode, OnFailure, Policy},
    question::{Asking, OwnedQuestion, Question},
    tally::Tally,
    types::{HOOKS, Notification, Verdict, Violation},
};
use std::{sync::Arc, time::Instant};
use wasmtime::{
    StoreContextMut,
    component::{Component, ComponentExportIndex, Linker},
};

/// Calls of the next link that one call of a policy may make: with four policies that is at most 4^4 calls of the default plugin.
pub const MOST_CALLS: u32 = 4;

/// The answer of an export: a value, or violations. The outer result of a call is an error if there was no answer.
pub type HookResult<T> = (Result<T, Vec<Violation>>,);

/// A component with the three hooks: a policy, or the plugin at the end of the chain.
pub struct Link {
    pub(crate) callee: Callee,
    pub(crate) on_failure: OnFailure,
    pub(crate) mode: Mode,
    pub(crate) tally: Arc<Tally>,
    pub(crate) digest: blake3::Hash,
    pipeline_start: ComponentExportIndex,
    step: ComponentExportIndex,
    pipeline_finish: ComponentExportIndex,
}

impl Link {
    pub(crate) fn new(
        linker: &Linker<CallState>,
        component: &Component,
        policy: &Policy,
        role: Role,
    ) -> Result<Self, LoadError> {
        let callee = Callee::new(linker, component, (role, &policy.name), &policy.limits, &policy.grants)?;
        Ok(Self {
            pipeline_start: callee.find::<(&Notification,), HookResult<Verdict>>(component, HOOKS, "pipeline-start")?,
            step: callee.find::<(&Notification,), HookResult<Verdict>>(component, HOOKS, "step")?,
            pipeline_finish: callee.find::<(&[Notification],), HookResult<Verdict>>(
                component,
                HOOKS,
                "pipeline-finish",
            )?,
            on_failure: policy.on_failure,
            mode: policy.mode,
            tally: Arc::default(),
            digest: blake3::Hash::from_bytes([0; 32]),
            callee,
        })
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.callee.name
    }

    /// Its counters, also after it is put into a chain.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// The role and name, as in errors.
    pub(crate) fn title(&self) -> String {
        self.callee.title()
    }

    /// Calls the question's hook. `next` are the links behind this one.
    pub(crate) fn call_hook(
        &self,
        core: &Core,
        question: &Question<'_>,
        next: Option<Next>,
        asking: &Arc<Asking>,
    ) -> (Result<Verdict, CallFailure>, Ran) {
        let call = Call {
            core,
            callee: &self.callee,
            hook: question.hook(),
            next,
            asking: Arc::clone(asking),
        };
        let (called, ran) = match question {
            Question::PipelineStart(event) => call.judge(&self.pipeline_start, (*event,)),
            Question::Step(event) => call.judge(&self.step, (*event,)),
            Question::PipelineFinish(history) => call.judge(&self.pipeline_finish, (*history,)),
        };
        let checked = called.and_then(|verdict| match answer::check(&verdict, question.notifications()) {
            Ok(()) => Ok(verdict),
            Err(reason) => Err(CallFailure::Own(self.bad_answer(question.hook(), reason))),
        });
        (checked, ran)
    }

    pub(crate) fn bad_answer(&self, hook: &'static str, reason: String) -> HookError {
        self.callee.bad_answer(hook, reason)
    }
}

/// The links behind one, and the calls of them.
pub struct Next {
    judge: Arc<JudgeNext>,
    calls: u32,
    /// The answers of those links.
    pub answers: Vec<Answered>,
    /// The last question to them.
    pub passed: Option<OwnedQuestion>,
}

/// Judges a question by the links behind one.
type JudgeNext = dyn Fn(&Question<'_>, &Arc<Asking>) -> Result<Answered, HookError> + Send + Sync;

impl Next {
    pub fn new(
        judge: impl Fn(&Question<'_>, &Arc<Asking>) -> Result<Answered, HookError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            judge: Arc::new(judge),
            calls: 0,
            answers: Vec::new(),
            passed: None,
        }
    }
}

/// Defines the next link's hooks as a policy's import.
pub fn link_next(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut hooks = linker.instance(HOOKS)?;
    hooks.func_wrap("pipeline-start", |store, (event,): (Notification,)| {
        next(store, OwnedQuestion::PipelineStart(event))
    })?;
    hooks.func_wrap("step", |store, (event,): (Notification,)| {
        next(store, OwnedQuestion::Step(event))
    })?;
    hooks.func_wrap("pipeline-finish", |store, (history,): (Vec<Notification>,)| {
        next(store, OwnedQuestion::PipelineFinish(history))
    })?;
    Ok(())
}

fn next(mut store: StoreContextMut<'_, CallState>, asked: OwnedQuestion) -> wasmtime::Result<HookResult<Verdict>> {
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
    let judge = Arc::clone(&next.judge);
    let began = Instant::now();
    let answer = judge(&asked.question(), &asking);
    // The time of the next link does not count against this one.
    state.deadline += began.elapsed();
    next.passed = Some(asked);
    match answer {
        Ok(answered) => {
            let verdict = answered.verdict.clone();
            next.answers.push(answered);
            Ok((Ok(verdict),))
        }
        Err(HookError::Refused(violations)) => Ok((Err(violations),)),
        Err(error) => {
            state.further = Some(error);
            wasmtime::bail!("the next plugin failed")
        }
    }
}
