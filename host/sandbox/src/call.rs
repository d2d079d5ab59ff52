//! One call of one export: a fresh store and instance, a deadline, and an account of what went wrong.

use crate::{
    answer,
    asking::Asking,
    chain::Line,
    error::{HookError, Limit},
    grants::{Grants, MOST_RESOURCES, Meter, WasiState},
    limiter::Limiter,
    plugin::{Answer, Link},
    sandbox::Core,
    seen::Answered,
};
use std::{sync::Arc, time::Instant};
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, ResourceTableError},
};
use wasmtime_wasi::I32Exit;

/// Handles of resources that one call may hold at a time. The contract has none, and what WASI hands out is a few files and streams;
/// the engine keeps some dozens of bytes for each.
const MOST_HANDLES: usize = 10_000;

/// Ticks of the watchdog that no process lives to see: 4 ms each, and some five hundred million years of them.
const NEVER: u64 = 1 << 62;

/// What the host keeps beside an instance.
pub(crate) struct State {
    pub(crate) link: Arc<str>,
    pub(crate) limiter: Limiter,
    /// When this call must have ended; the time that the next link takes is added.
    pub(crate) deadline: Instant,
    pub(crate) asking: Arc<Asking>,
    timed_out: Option<TimedOut>,
    /// The links behind this one.
    pub(crate) next: Option<Next>,
    /// How a link further in failed: then it is not this one's fault.
    pub(crate) further: Option<HookError>,
    /// A limit of the host's functions that was hit.
    pub(crate) hit: Option<Limit>,
    pub(crate) grants: Grants,
    /// What it holds of the system interface, once it used it.
    pub(crate) wasi: Option<Box<WasiState>>,
    /// Counts its log lines.
    pub(crate) meter: Arc<Meter>,
}

/// The links behind one, how often it asked them, and what they answered.
pub(crate) struct Next {
    pub(crate) line: Arc<Line>,
    pub(crate) place: usize,
    pub(crate) calls: u32,
    pub(crate) answers: Vec<Answered>,
}

impl Next {
    pub(crate) fn new(line: Arc<Line>, place: usize) -> Self {
        Self {
            line,
            place,
            calls: 0,
            answers: Vec::new(),
        }
    }
}

/// Whose time was up.
#[derive(Clone, Copy)]
enum TimedOut {
    Hook,
    Chain,
}

/// Whose failure it is that a call gave no verdict.
pub(crate) enum Failed {
    /// The link's own.
    Own(HookError),
    /// A link's further in.
    Further(HookError),
}

impl Failed {
    pub(crate) fn into_error(self) -> HookError {
        match self {
            Self::Own(error) | Self::Further(error) => error,
        }
    }
}

/// One call: of which link, for which hook, and with what behind it.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Core,
    pub(crate) link: &'a Link,
    pub(crate) hook: &'static str,
    pub(crate) next: Option<Next>,
    pub(crate) asking: Arc<Asking>,
}

impl Call<'_> {
    /// Instantiates, calls and explains. With the answer comes what the links behind this one answered.
    pub(crate) fn run<P, T>(mut self, export: &ComponentExportIndex, params: P) -> Result<(T, Vec<Answered>), Failed>
    where
        P: ComponentNamedList + Lower,
        T: Send + Sync + 'static,
        Answer<T>: ComponentNamedList + Lift,
    {
        let limits = &self.link.limits;
        let watch = self.link.timed.then(|| self.core.watchdog.watch()).transpose();
        let watch = watch.map_err(|error| Failed::Own(self.host(error.to_string())))?;
        let state = State {
            link: Arc::clone(&self.link.name),
            limiter: Limiter::new(limits),
            deadline: Instant::now() + limits.hook,
            asking: Arc::clone(&self.asking),
            timed_out: None,
            next: self.next.take(),
            further: None,
            hit: None,
            grants: self.link.grants.clone(),
            wasi: None,
            meter: Arc::clone(&self.link.meter),
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
            let function = instance.get_typed_func::<P, Answer<T>>(&mut store, export)?;
            function.call(&mut store, params)
        });
        drop(watch);
        match outcome {
            Ok((Ok(answer),)) => Ok((
                answer,
                store.into_data().next.map_or_else(Vec::new, |next| next.answers),
            )),
            Ok((Err(violations),)) => Err(Failed::Own(match answer::check_refusal(&violations) {
                Ok(()) => HookError::Refused(violations),
                Err(reason) => self.link.bad_answer(self.hook, reason),
            })),
            Err(error) => Err(self.explain(store.into_data(), &error)),
        }
    }

    /// Names the cause of a failed call. wasmtime exports types for traps only; what it does not is recognised by what was recorded on
    /// the way, and last by wasmtime's words.
    fn explain(&self, state: State, error: &wasmtime::Error) -> Failed {
        if let Some(further) = state.further {
            return Failed::Further(further);
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
        Failed::Own(match (state.timed_out, limit, error.downcast_ref::<Trap>()) {
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
