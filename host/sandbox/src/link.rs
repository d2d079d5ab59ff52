//! One component of a chain, and one call of its export: a fresh store and instance, a deadline, and the cause of a failure.

use crate::{
    answer::{self, Answered},
    engine::Core,
    error::{HookError, LoadError},
    fit::Role,
    grants::{GrantState, Grants, HasGrants, LineMeter, MOST_RESOURCES},
    limits::{Limit, Limiter, Limits},
    policy::{OnFailure, Policy},
    question::{Asking, Question},
    types::{HOOKS, Notification, Verdict, Violation},
};
use std::{sync::Arc, time::Instant};
use wasmtime::{
    Store, StoreContextMut, Trap, UpdateDeadline,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceTableError,
    },
};
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};

/// Calls of the next link that one call of a policy may make: with four policies that is at most 4^4 calls of the default plugin.
pub const MOST_CALLS: u32 = 4;

/// The answer of an export: a value, or violations. The outer result of a call is an error if there was no answer.
pub type HookResult<T> = (Result<T, Vec<Violation>>,);

/// A component with the three hooks: a policy, or the plugin at the end of the chain.
pub struct Link {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) on_failure: OnFailure,
    /// True if its calls have a time limit.
    pub(crate) timed: bool,
    pub(crate) digest: blake3::Hash,
    pub(crate) meter: Arc<LineMeter>,
    role: Role,
    pub(crate) pre: InstancePre<CallState>,
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
        let title = role.title(&policy.name);
        let pre = linker.instantiate_pre(component).map_err(|error| LoadError::Code {
            plugin: title.clone(),
            reason: format!("{error:#}"),
        })?;
        let exports = Exports {
            title: &title,
            component,
            pre: &pre,
        };
        Ok(Self {
            pipeline_start: exports.find::<(&Notification,), HookResult<Verdict>>(HOOKS, "pipeline-start")?,
            step: exports.find::<(&Notification,), HookResult<Verdict>>(HOOKS, "step")?,
            pipeline_finish: exports.find::<(&[Notification],), HookResult<Verdict>>(HOOKS, "pipeline-finish")?,
            name: policy.name.as_str().into(),
            limits: policy.limits.clone(),
            grants: policy.grants.clone(),
            on_failure: policy.on_failure,
            timed: true,
            role,
            meter: Arc::default(),
            digest: blake3::Hash::from_bytes([0; 32]),
            pre,
        })
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role and name, as in errors.
    pub(crate) fn title(&self) -> String {
        self.role.title(&self.name)
    }

    /// Calls the question's hook. `next` are the links behind this one. Returns the verdict, and the answers of those links.
    pub(crate) fn call_hook(
        &self,
        core: &Core,
        question: &Question<'_>,
        next: Option<Next>,
        asking: &Arc<Asking>,
    ) -> Result<(Verdict, Vec<Answered>), CallFailure> {
        let call = Call {
            core,
            link: self,
            hook: question.hook(),
            next,
            asking: Arc::clone(asking),
        };
        let (verdict, answers) = match question {
            Question::PipelineStart(event) => call.run(&self.pipeline_start, (*event,)),
            Question::Step(event) => call.run(&self.step, (*event,)),
            Question::PipelineFinish(history) => call.run(&self.pipeline_finish, (*history,)),
        }?;
        answer::check(&verdict, question.notifications())
            .map_err(|reason| CallFailure::Own(self.bad_answer(question.hook(), reason)))?;
        Ok((verdict, answers))
    }

    pub(crate) fn bad_answer(&self, hook: &'static str, reason: String) -> HookError {
        let plugin = self.title();
        HookError::BadAnswer { plugin, hook, reason }
    }
}

/// The exports of a component. [`Exports::find`] compares their types, so that a component which loads can be called.
pub struct Exports<'a> {
    pub title: &'a str,
    pub component: &'a Component,
    pub pre: &'a InstancePre<CallState>,
}

impl Exports<'_> {
    pub fn find<P, R>(&self, interface: &str, function: &str) -> Result<ComponentExportIndex, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let fail = |reason: String| LoadError::Export {
            plugin: self.title.into(),
            export: format!("{interface}#{function}"),
            reason,
        };
        let missing = || fail("is missing".into());
        let interface = self.component.get_export_index(None, interface).ok_or_else(missing)?;
        let (item, index) = self
            .component
            .get_export(Some(&interface), function)
            .ok_or_else(missing)?;
        let wasmtime::component::types::ComponentItem::ComponentFunc(found) = item else {
            return Err(fail("is not a function".into()));
        };
        found
            .typecheck::<P, R>(&self.pre.instance_type())
            .map_err(|error| fail(format!("has another type: {error:#}")))?;
        Ok(index)
    }
}

/// Resource handles that one call may hold at a time. The contract has none, and WASI has a few files and streams; the engine keeps some
/// dozens of bytes for each.
const MOST_HANDLES: usize = 10_000;

/// Ticks of the watchdog that are never reached: at 4 ms each, some five hundred million years.
const NEVER: u64 = 1 << 62;

/// The host's state beside an instance.
pub struct CallState {
    pub limiter: Limiter,
    /// The deadline of this call; the time of the next link is added.
    pub deadline: Instant,
    pub asking: Arc<Asking>,
    timed_out: Option<TimedOut>,
    /// The links behind this one.
    pub next: Option<Next>,
    /// The failure of a link behind this one, which is not this one's fault.
    pub further: Option<HookError>,
    /// A limit of the host's functions that was reached.
    pub hit: Option<Limit>,
    granted: GrantState,
}

impl HasGrants for CallState {
    fn granted(&mut self) -> &mut GrantState {
        &mut self.granted
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.granted.wasi_view()
    }
}

/// The links behind one, the number of calls of them, and their answers.
pub struct Next {
    judge: Arc<JudgeNext>,
    calls: u32,
    answers: Vec<Answered>,
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
        }
    }
}

/// The time limit that passed: of this hook, or of the chain.
#[derive(Clone, Copy)]
enum TimedOut {
    Hook,
    Chain,
}

/// A call without a verdict, by the link at fault.
pub enum CallFailure {
    /// The called link.
    Own(HookError),
    /// A link behind it.
    Further(HookError),
}

impl CallFailure {
    pub fn into_error(self) -> HookError {
        match self {
            Self::Own(error) | Self::Further(error) => error,
        }
    }
}

/// One call of a link's hook.
pub struct Call<'a> {
    pub core: &'a Core,
    pub link: &'a Link,
    pub hook: &'static str,
    pub next: Option<Next>,
    pub asking: Arc<Asking>,
}

impl Call<'_> {
    /// Instantiates the component and calls the export. Returns the answer, and those of the links behind this one.
    pub fn run<P, T>(mut self, export: &ComponentExportIndex, params: P) -> Result<(T, Vec<Answered>), CallFailure>
    where
        P: ComponentNamedList + Lower,
        T: Send + Sync + 'static,
        HookResult<T>: ComponentNamedList + Lift,
    {
        let limits = &self.link.limits;
        let watch = self.link.timed.then(|| self.core.watchdog.watch()).transpose();
        let watch = watch.map_err(|error| CallFailure::Own(self.host(error.to_string())))?;
        let state = CallState {
            limiter: Limiter::new(limits),
            deadline: Instant::now() + limits.hook,
            asking: Arc::clone(&self.asking),
            timed_out: None,
            next: self.next.take(),
            further: None,
            hit: None,
            granted: GrantState::new(&self.link.name, &self.link.grants, &self.link.meter),
        };
        let mut store = Store::new(&self.core.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.copied_out);
        store.set_max_component_handles(MOST_HANDLES);
        store.set_epoch_deadline(if self.link.timed { 1 } else { NEVER });
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            let now = Instant::now();
            state.timed_out = match (now >= state.asking.until(), now >= state.deadline) {
                (true, _) => Some(TimedOut::Chain),
                (_, true) => Some(TimedOut::Hook),
                _ => return Ok(UpdateDeadline::Continue(1)),
            };
            Ok(UpdateDeadline::Interrupt)
        });
        let outcome = self.link.pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, HookResult<T>>(&mut store, export)?;
            function.call(&mut store, params)
        });
        drop(watch);
        match outcome {
            Ok((Ok(answer),)) => Ok((
                answer,
                store.into_data().next.map_or_else(Vec::new, |next| next.answers),
            )),
            Ok((Err(violations),)) => Err(CallFailure::Own(match answer::check_refusal(&violations) {
                Ok(()) => HookError::Refused(violations),
                Err(reason) => self.link.bad_answer(self.hook, reason),
            })),
            Err(error) => Err(self.explain(store.into_data(), &error)),
        }
    }

    /// Names the cause of a failed call. wasmtime exports types for traps only; other causes are recognised by the records in the state, and
    /// last by wasmtime's message.
    fn explain(&self, state: CallState, error: &wasmtime::Error) -> CallFailure {
        if let Some(further) = state.further {
            return CallFailure::Further(further);
        }
        let (plugin, hook) = (self.link.title(), self.hook);
        let limits = &self.link.limits;
        let reason = format!("{error:#}");
        let limit = match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Some(Limit::Stack(self.core.limits.stack)),
            None if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) => {
                Some(Limit::Handles(MOST_RESOURCES))
            }
            None if reason.contains("fuel allocated for hostcalls has been exhausted") => {
                Some(Limit::CopiedOut(limits.copied_out))
            }
            None if reason.contains("store handle limit exceeded") => Some(Limit::Handles(MOST_HANDLES)),
            None if reason.contains("resource limit exceeded") => Some(Limit::CoreInstances(limits.core_instances)),
            _ => None,
        };
        let limit = state.hit.or(state.limiter.hit()).or(limit);
        CallFailure::Own(match (state.timed_out, limit, error.downcast_ref::<Trap>()) {
            (Some(TimedOut::Hook), _, _) => HookError::TimedOut {
                plugin,
                hook,
                limit: limits.hook,
            },
            (Some(TimedOut::Chain), _, _) => HookError::ChainTimedOut {
                plugin,
                hook,
                limit: self.core.limits.chain,
            },
            (None, Some(limit), _) => HookError::Limit { plugin, hook, limit },
            (None, None, Some(trap)) => HookError::Trap {
                plugin,
                hook,
                trap: trap.to_string(),
            },
            (None, None, None) if error.is::<I32Exit>() => HookError::Trap {
                plugin,
                hook,
                trap: "it ended itself instead of answering".into(),
            },
            (None, None, None) if state.limiter.host_failed() || reason.contains("mmap failed") => self.host(reason),
            (None, None, None) => self.link.bad_answer(hook, reason),
        })
    }

    fn host(&self, reason: String) -> HookError {
        HookError::Host {
            plugin: self.link.title(),
            hook: self.hook,
            reason,
        }
    }
}

/// Defines the next link's hooks as a policy's import.
pub fn link_next(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
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

fn next(mut store: StoreContextMut<'_, CallState>, question: &Question<'_>) -> wasmtime::Result<HookResult<Verdict>> {
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
    let answer = judge(question, &asking);
    // The time of the next link does not count against this one.
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
