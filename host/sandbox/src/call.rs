//! One call of one hook: a fresh store and instance, a deadline, and an account of what went wrong.

use crate::{
    error::{HookError, Limit},
    limiter::Limiter,
    sandbox::Core,
    types::Violation,
};
use std::time::Instant;
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower},
};

/// What the host keeps beside an instance.
pub(crate) struct State {
    limiter: Limiter,
    deadline: Instant,
    timed_out: bool,
}

/// What a call is named by in errors, and the engine it runs on.
pub(crate) struct Hooked<'a> {
    pub(crate) core: &'a Core,
    pub(crate) plugin: &'a str,
    pub(crate) hook: &'static str,
}

impl Hooked<'_> {
    /// Instantiates, calls and explains.
    pub(crate) fn call<P, T>(
        &self,
        pre: &InstancePre<State>,
        export: &ComponentExportIndex,
        params: P,
    ) -> Result<T, HookError>
    where
        P: ComponentNamedList + Lower,
        T: Send + Sync + 'static,
        (Result<T, Vec<Violation>>,): ComponentNamedList + Lift,
    {
        let limits = &self.core.limits;
        let watch = self
            .core
            .watchdog
            .watch()
            .map_err(|error| self.host(error.to_string()))?;
        let mut store = Store::new(
            &self.core.engine,
            State {
                limiter: Limiter::new(limits),
                deadline: Instant::now() + limits.hook,
                timed_out: false,
            },
        );
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.copied_out);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            if Instant::now() < state.deadline {
                return Ok(UpdateDeadline::Continue(1));
            }
            state.timed_out = true;
            Ok(UpdateDeadline::Interrupt)
        });
        let outcome = pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, (Result<T, Vec<Violation>>,)>(&mut store, export)?;
            function.call(&mut store, params)
        });
        drop(watch);
        match outcome {
            Ok((answer,)) => answer.map_err(HookError::Refused),
            Err(error) => Err(self.explain(store.data(), &error)),
        }
    }

    /// Names the cause of a failed call. wasmtime exports types for traps only; what it does not is recognised by the limiter's
    /// record, and last by wasmtime's words.
    fn explain(&self, state: &State, error: &wasmtime::Error) -> HookError {
        let limit = |limit| HookError::Limit {
            plugin: self.plugin.into(),
            hook: self.hook,
            limit,
        };
        if state.timed_out {
            return HookError::TimedOut {
                plugin: self.plugin.into(),
                hook: self.hook,
                limit: self.core.limits.hook,
            };
        }
        if let Some(hit) = state.limiter.hit() {
            return limit(hit);
        }
        let reason = format!("{error:#}");
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => limit(Limit::Stack(self.core.limits.stack)),
            Some(trap) => HookError::Trap {
                plugin: self.plugin.into(),
                hook: self.hook,
                trap: trap.to_string(),
            },
            None if reason.contains("fuel allocated for hostcalls has been exhausted") => {
                limit(Limit::CopiedOut(self.core.limits.copied_out))
            }
            None if reason.contains("resource limit exceeded") => {
                limit(Limit::CoreInstances(self.core.limits.core_instances))
            }
            None if state.limiter.host_failed() || reason.contains("mmap failed") => self.host(reason),
            None => HookError::BadAnswer {
                plugin: self.plugin.into(),
                hook: self.hook,
                reason,
            },
        }
    }

    fn host(&self, reason: String) -> HookError {
        HookError::Host {
            plugin: self.plugin.into(),
            hook: self.hook,
            reason,
        }
    }
}
