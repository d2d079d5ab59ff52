//! One call of a component's function: a store and an instance, a deadline, and the cause of a failure.

use crate::{
    answer::{self, Answered},
    engine::Core,
    error::{HookError, LoadError},
    fit::Role,
    grants::{GrantState, Grants, HasGrants, LineMeter, MOST_RESOURCES},
    kept::{Kept, KeptInstances},
    limits::{Limit, Limiter, Limits},
    link::{HookResult, Next},
    question::{Asking, OwnedQuestion},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceTableError,
    },
};
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};

/// A component that is ready to be called, and the bounds of a call.
pub struct Callee {
    pub role: Role,
    /// The name in messages.
    pub name: Arc<str>,
    pub limits: Limits,
    /// True if its calls have a time limit.
    pub timed: bool,
    pub grants: Grants,
    pub meter: Arc<LineMeter>,
    pub pre: InstancePre<CallState>,
    /// The instances that wait for a call; `None` if each call gets a fresh one.
    pub kept: Option<KeptInstances>,
}

impl Callee {
    pub fn new(
        linker: &Linker<CallState>,
        component: &Component,
        (role, name): (Role, &str),
        limits: &Limits,
        grants: &Grants,
    ) -> Result<Self, LoadError> {
        let pre = linker.instantiate_pre(component).map_err(|error| LoadError::Code {
            plugin: role.title(name),
            reason: format!("{error:#}"),
        })?;
        Ok(Self {
            role,
            name: name.into(),
            limits: limits.clone(),
            timed: true,
            grants: grants.clone(),
            meter: Arc::default(),
            pre,
            kept: None,
        })
    }

    /// Finds an export and compares its type, so that a component which loads can be called.
    pub fn find<P, R>(
        &self,
        component: &Component,
        interface: &str,
        function: &str,
    ) -> Result<ComponentExportIndex, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let fail = |reason: String| LoadError::Export {
            plugin: self.title(),
            export: format!("{interface}#{function}"),
            reason,
        };
        let missing = || fail("is missing".into());
        let interface = component.get_export_index(None, interface).ok_or_else(missing)?;
        let (item, index) = component.get_export(Some(&interface), function).ok_or_else(missing)?;
        let wasmtime::component::types::ComponentItem::ComponentFunc(found) = item else {
            return Err(fail("is not a function".into()));
        };
        found
            .typecheck::<P, R>(&self.pre.instance_type())
            .map_err(|error| fail(format!("has another type: {error:#}")))?;
        Ok(index)
    }

    /// The role and name, as in errors.
    pub fn title(&self) -> String {
        self.role.title(&self.name)
    }

    pub fn bad_answer(&self, hook: &'static str, reason: String) -> HookError {
        let plugin = self.title();
        HookError::BadAnswer { plugin, hook, reason }
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

/// What a call did besides its result, also if it failed.
#[derive(Default)]
pub struct Ran {
    /// The answers of the links behind the called one, in the order of their calls.
    pub answers: Vec<Answered>,
    /// The last question that it passed on.
    pub passed: Option<OwnedQuestion>,
    /// The time of the call, without the time of the next link.
    pub time: Duration,
    /// Bytes of linear memory at its end.
    pub memory: u64,
}

/// One call of a component's function.
pub struct Call<'a> {
    pub core: &'a Core,
    pub callee: &'a Callee,
    /// The function's name in errors.
    pub hook: &'static str,
    pub next: Option<Next>,
    pub asking: Arc<Asking>,
}

impl Call<'_> {
    /// Calls a hook or the merge.
    pub fn judge<P, T>(self, export: &ComponentExportIndex, params: P) -> (Result<T, CallFailure>, Ran)
    where
        P: ComponentNamedList + Lower,
        T: Send + Sync + 'static,
        HookResult<T>: ComponentNamedList + Lift,
    {
        let (callee, hook) = (self.callee, self.hook);
        let (called, ran) = self.run::<P, HookResult<T>>(export, params);
        let answer = called.and_then(|(answer,)| {
            answer.map_err(|violations| {
                CallFailure::Own(match answer::check_refusal(&violations) {
                    Ok(()) => HookError::Refused(violations),
                    Err(reason) => callee.bad_answer(hook, reason),
                })
            })
        });
        (answer, ran)
    }

    /// Instantiates the component and calls the export.
    pub fn run<P, R>(mut self, export: &ComponentExportIndex, params: P) -> (Result<R, CallFailure>, Ran)
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let limits = &self.callee.limits;
        let watch = match self.callee.timed.then(|| self.core.watchdog.watch()).transpose() {
            Ok(watch) => watch,
            Err(error) => return (Err(CallFailure::Own(self.host(error.to_string()))), Ran::default()),
        };
        let began = Instant::now();
        let first_deadline = began + limits.hook;
        let mut state = CallState {
            limiter: Limiter::new(limits),
            deadline: first_deadline,
            asking: Arc::clone(&self.asking),
            timed_out: None,
            next: self.next.take(),
            further: None,
            hit: None,
            granted: GrantState::new(&self.callee.name, &self.callee.grants, &self.callee.meter),
        };
        let kept_instances = self.callee.kept.as_ref();
        let (mut store, instance) = match kept_instances.and_then(KeptInstances::take) {
            Some(Kept { mut store, instance }) => {
                // The memory that it has counts.
                state.limiter = store.data().limiter.clone();
                *store.data_mut() = state;
                store.set_hostcall_fuel(limits.copied_out);
                (store, Some(instance))
            }
            None => (self.store(state), None),
        };
        let instance = instance.map_or_else(|| self.callee.pre.instantiate(&mut store), Ok);
        let outcome = instance.and_then(|instance| {
            let function = instance.get_typed_func::<P, R>(&mut store, export)?;
            Ok((instance, function.call(&mut store, params)?))
        });
        drop(watch);
        let state = store.data_mut();
        let of_next = state.deadline - first_deadline;
        let (answers, passed) = state
            .next
            .take()
            .map_or_else(Default::default, |next| (next.answers, next.passed));
        let ran = Ran {
            answers,
            passed,
            time: began.elapsed().saturating_sub(of_next),
            memory: state.limiter.memory(),
        };
        let answer = match outcome {
            Ok((instance, answer)) => {
                if let Some(kept_instances) = kept_instances {
                    kept_instances.put(Kept { store, instance });
                }
                Ok(answer)
            }
            Err(error) => Err(self.explain(store.into_data(), &error)),
        };
        (answer, ran)
    }

    /// Returns the store of a fresh instance, with its limits.
    fn store(&self, state: CallState) -> Store<CallState> {
        let mut store = Store::new(&self.core.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.callee.limits.copied_out);
        store.set_max_component_handles(MOST_HANDLES);
        store.set_epoch_deadline(if self.callee.timed { 1 } else { NEVER });
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
        store
    }

    /// Names the cause of a failed call. wasmtime exports types for traps only; other causes are recognised by the records in the state, and
    /// last by wasmtime's message.
    fn explain(&self, state: CallState, error: &wasmtime::Error) -> CallFailure {
        if let Some(further) = state.further {
            return CallFailure::Further(further);
        }
        let (plugin, hook) = (self.callee.title(), self.hook);
        let limits = &self.callee.limits;
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
            (None, None, None) => self.callee.bad_answer(hook, reason),
        })
    }

    fn host(&self, reason: String) -> HookError {
        HookError::Host {
            plugin: self.callee.title(),
            hook: self.hook,
            reason,
        }
    }
}
